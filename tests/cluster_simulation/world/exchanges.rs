//! Sources and whoever serves: lines go out, and the gate's answers come back.

use super::{Next, World};

impl World {
    pub(super) fn source(&mut self, index: usize) {
        let late = self.dice.long(10_000..=300_000);
        self.after(late, Next::Source(index));
        let connection = self.sources[index].connection;
        let is_open = connection.is_some_and(|(node, run, closings)| {
            let it = &self.nodes[node];
            it.run == run && it.engine.closings == closings && it.frozen_until_us <= self.now_us
        });
        if !is_open {
            let serving = (0..self.nodes.len())
                .filter(|it| self.takes(*it))
                .collect::<Vec<_>>();
            if serving.is_empty() {
                return;
            }
            let node = self.dice.of(&serving);
            let it = &self.nodes[node];
            self.sources[index].connect((node, it.run, it.engine.closings));
        }
        self.exchange(index);
    }

    pub(super) fn takes(&self, node: usize) -> bool {
        let it = &self.nodes[node];
        let may_accept = it.core().is_some_and(|it| it.may_accept());
        may_accept && it.frozen_until_us <= self.now_us && it.serves(self.now_us).is_some()
    }

    /// The source sends, and hears what was taken.
    pub(super) fn exchange(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let Some((node, ..)) = source.connection else {
            return;
        };
        let engine = &mut self.nodes[node].engine;
        if !engine.is_built {
            return;
        }
        while let Some(order) = source.next() {
            engine.accept(order);
        }
        while let Some(order) = source.awaited().filter(|it| engine.has_taken(*it)) {
            source.acknowledge();
            self.checkers.on_acknowledged(order);
        }
    }
}
