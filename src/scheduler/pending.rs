//! A value for each source, and the sources whose value ingest has not been sent: how first accepted
//! lines and repeats wait for room in ingest's ring. At most one entry a source, however full it is.

use crate::message::SourceIndex;

/// Values by source, some of which are pending.
#[derive(Debug, Default)]
pub(super) struct Pending<T> {
    sources: Vec<Source<T>>,
    /// The sources that are pending, each once.
    pending: Vec<SourceIndex>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Source<T> {
    value: T,
    is_pending: bool,
}

impl<T: Clone + Default> Pending<T> {
    /// A source's value; none was noted yet where this is `None` or the default.
    #[inline]
    pub(super) fn get(&self, source: SourceIndex) -> Option<&T> {
        self.sources.get(source as usize).map(|it| &it.value)
    }

    /// A source's value, to be changed: it is pending from now on.
    #[inline]
    pub(super) fn note(&mut self, source: SourceIndex) -> &mut T {
        let index = source as usize;
        if self.sources.len() <= index {
            self.sources.resize(index + 1, Source::default());
        }
        let known = &mut self.sources[index];
        if !std::mem::replace(&mut known.is_pending, true) {
            self.pending.push(source);
        }
        &mut known.value
    }

    /// The next source that ingest is sent an event for, and its value.
    pub(super) fn next(&mut self) -> Option<(SourceIndex, &mut T)> {
        let source = self.pending.pop()?;
        let known = &mut self.sources[source as usize];
        known.is_pending = false;
        Some((source, &mut known.value))
    }

    /// Whether ingest has been sent all.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
