//! What must hold, seen from outside. None of it asks a core but for its term.
//!
//! Where servers lose what they had confirmed, two may serve until the one that is cut off has lost its
//! lease, and orders of lost messages may be in files that were set aside: both end with the next lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flipped_lb::cluster::record::Term;

use crate::batches::Order;
use crate::node::Node;
use crate::plan::SECOND;
use crate::servers::Servers;
use crate::world::Verdict;

/// As long as a lost claim or record may leave two to serve: the longest lease by the slowest clock.
const LOSS_US: u64 = 17 * SECOND;

#[derive(Debug, Default)]
pub struct Checkers {
    /// The latest term in which anything was handed out.
    serving: Option<Term>,
    lost_us: Option<u64>,
    /// Records by position, as any member has written them.
    written: BTreeMap<u64, Arc<[u8]>>,
    acknowledged: Vec<Order>,
    /// Orders of a source; those behind half of them whose number is odd wait for an absent customer.
    orders: u64,
    settled: BTreeSet<Order>,
    /// Where each order was written last.
    at: BTreeMap<Order, u64>,
}

impl Checkers {
    pub fn new(orders: u64) -> Self {
        Self {
            orders,
            ..Self::default()
        }
    }

    /// Whether an order needs no more work.
    pub fn is_settled(&self, order: Order) -> bool {
        self.settled.contains(&order)
    }

    /// The servers lose what they had confirmed.
    pub fn on_loss(&mut self, now_us: u64) {
        self.lost_us = Some(now_us);
        self.serving = None;
    }

    pub fn has_lost(&self) -> bool {
        self.lost_us.is_some()
    }

    /// Never two that serve.
    pub fn on_handed_out(&mut self, term: Term, now_us: u64) -> Verdict {
        if self.lost_us.is_some_and(|it| now_us < it + LOSS_US) {
            self.serving = None;
            return Ok(());
        }
        if let Some(latest) = self.serving
            && (latest.epoch > term.epoch || latest.epoch == term.epoch && latest != term)
        {
            let what = format!("term {term} hands out after term {latest} has");
            return Err(("two", what));
        }
        self.serving = Some(term);
        Ok(())
    }

    /// It may be whole only at the end of a run.
    pub fn note_written(&mut self, position: u64, bytes: &Arc<[u8]>) {
        let orders = crate::batches::orders(bytes).into_iter();
        self.at.extend(orders.map(|it| (it, position)));
    }

    /// All members' journals are byte-identical by position.
    pub fn on_written(&mut self, position: u64, bytes: &Arc<[u8]>) -> Verdict {
        self.note_written(position, bytes);
        if self.has_lost() {
            return Ok(());
        }
        let known = self
            .written
            .entry(position)
            .or_insert_with(|| Arc::clone(bytes));
        match known == bytes {
            true => Ok(()),
            false => Err((
                "identical",
                format!("two records were written at {position}"),
            )),
        }
    }

    /// Files are set aside only where the servers lost something.
    pub fn on_set_aside(&mut self) -> Verdict {
        match self.has_lost() {
            true => Ok(()),
            false => Err(("diverged", "though the servers have lost nothing".into())),
        }
    }

    /// All files are set aside only where the stream has a record in their place.
    pub fn on_all_set_aside(&self, has_record: bool, now_us: u64) -> Verdict {
        // It may have been lost since it was seen.
        let is_just_lost = self.lost_us.is_some_and(|it| now_us < it + SECOND);
        match has_record || is_just_lost {
            true => Ok(()),
            false => Err((
                "diverged",
                "all files were set aside, for void messages".into(),
            )),
        }
    }

    pub fn on_acknowledged(&mut self, order: Order) {
        self.acknowledged.push(order);
        let number = order & 0xffff_ffff;
        if number <= self.orders / 2 || number.is_multiple_of(2) {
            self.settled.insert(order);
        }
    }

    /// The run is over, and all is calm.
    pub fn end(&self, nodes: &[Node], servers: &Servers) -> Verdict {
        // Each has it from where on it had to keep it, or came.
        let journals: Vec<_> = nodes.iter().map(|it| it.journal.by_position()).collect();
        let first = |it: &Vec<(u64, Arc<[u8]>)>| it.first().map_or(0, |it| it.0);
        let common = journals.iter().map(first).max().unwrap_or(0);
        let journals: Vec<_> = journals
            .into_iter()
            .map(|it| {
                it.into_iter()
                    .filter(|it| it.0 >= common)
                    .collect::<Vec<_>>()
            })
            .collect();
        if let Some(index) = journals.iter().position(|it| *it != journals[0]) {
            let what = format!("journals 0 and {index} differ in the end");
            return Err(("identical", what));
        }
        let recorded: Vec<_> = nodes.iter().map(|it| it.journal.orders()).collect();
        recorded.iter().try_for_each(|it| in_order(it))?;
        let carried = nodes.iter().map(|it| it.journal.carried());
        let recorded: Vec<BTreeSet<Order>> = (recorded.into_iter().zip(carried))
            .map(|(own, carried)| own.into_iter().chain(carried).collect())
            .collect();
        let aside: Vec<Order> = nodes
            .iter()
            .flat_map(|it| {
                it.journal
                    .aside
                    .iter()
                    .flat_map(|it| crate::batches::orders(it))
            })
            .collect();
        for order in &self.acknowledged {
            let is_told = servers.lost.contains(order) && aside.contains(order);
            let all_have_it = recorded.iter().all(|it| it.contains(order));
            let is_gone = self.at.get(order).is_some_and(|it| *it < common);
            let has_left = is_gone && self.is_settled(*order);
            if !all_have_it && !has_left && !is_told {
                let (source, number) = (order >> 32, order & 0xffff_ffff);
                let what = format!("order {number} of source {source} was acknowledged");
                return Err(("lost", what));
            }
        }
        Ok(())
    }
}

/// Each order once, those of a source in their order.
fn in_order(recorded: &[Order]) -> Verdict {
    let mut last = BTreeMap::new();
    for order in recorded {
        let (source, number) = (order >> 32, order & 0xffff_ffff);
        if let Some(before) = last.insert(source, number)
            && before >= number
        {
            let what = format!("source {source}: {number} stands behind {before}");
            return Err(("order", what));
        }
    }
    Ok(())
}
