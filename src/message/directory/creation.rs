//! Which names are created when they are met: of a directory, under its lock.

use std::sync::Arc;

use crate::config::Scheduler;
use crate::message::pattern::Pattern;

/// Which names messages and subscribers create.
#[derive(Debug, Clone, Default)]
pub(crate) enum Creation {
    #[default]
    None,
    /// Those that fit one of these patterns.
    Fitting(Arc<[Pattern]>),
    All,
}

impl Creation {
    /// Of destinations, as the settings say.
    pub(crate) fn of(settings: &Scheduler) -> Self {
        match settings.create_destinations {
            true => Self::All,
            false if settings.create_fitting.is_empty() => Self::None,
            false => Self::Fitting(settings.create_fitting.as_slice().into()),
        }
    }

    /// Whether this name may be created.
    pub(super) fn allows(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Fitting(patterns) => patterns.iter().any(|it| it.matches(name)),
            Self::All => true,
        }
    }

    /// Whether any name may be.
    pub(super) fn allows_any(&self) -> bool {
        !matches!(self, Self::None)
    }
}
