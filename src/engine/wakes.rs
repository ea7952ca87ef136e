//! Which wake-up each agent has: that of its thread, since agents of one thread park together.

use std::io;
use std::sync::Arc;

use super::threads::{Plan, Role};
use crate::ring::Wake;

/// Which thread's wake-up each agent has.
pub struct Wakes {
    /// Ingest's.
    pub ingest: Arc<Wake>,
    /// The scheduler's.
    pub scheduler: Arc<Wake>,
    /// The journal's.
    pub journal: Arc<Wake>,
    /// The replay agent's.
    pub replay: Arc<Wake>,
    /// The retention agent's.
    pub retention: Arc<Wake>,
    /// The rejects agent's.
    pub rejects: Arc<Wake>,
    /// The delivery agents', one each.
    pub deliveries: Vec<Arc<Wake>>,
}

impl Wakes {
    /// That of an agent of the path.
    #[must_use]
    pub(super) fn of(&self, role: Role) -> &Arc<Wake> {
        match role {
            Role::Ingest => &self.ingest,
            Role::Scheduler => &self.scheduler,
            Role::Journal => &self.journal,
            Role::Delivery(index) => &self.deliveries[index],
        }
    }

    /// The agents' wake-ups: one a thread, and one for ingest where it may move.
    pub(super) fn for_plan(plan: &Plan) -> io::Result<Self> {
        let wake = || Wake::new();
        let threads = plan.threads.iter().map(|_| wake());
        let threads = threads.collect::<Result<Vec<_>, _>>()?;
        let of = |role: Role| {
            let thread = plan.threads.iter().position(|it| it.roles.contains(&role));
            Arc::clone(&threads[thread.expect("the plan has each agent")])
        };
        let roles = plan.threads.iter().flat_map(|it| &it.roles);
        let deliveries = roles.filter(|role| matches!(role, Role::Delivery(_)));
        Ok(Self {
            ingest: if plan.relief {
                wake()?
            } else {
                of(Role::Ingest)
            },
            scheduler: of(Role::Scheduler),
            journal: of(Role::Journal),
            replay: wake()?,
            retention: wake()?,
            rejects: wake()?,
            deliveries: (0..deliveries.count())
                .map(|index| of(Role::Delivery(index)))
                .collect(),
        })
    }
}
