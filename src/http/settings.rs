//! What of `[http]` a reload changes while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::RefusedClients;
use crate::config;
use crate::net::admission::Admission;

/// The settings now; a request looks once. What does not change is beside them.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    now: Mutex<Arc<config::Http>>,
    pub(super) admission: Arc<Admission>,
    /// Where refused clients are logged, those of the admin address too.
    pub(crate) refused: Arc<RefusedClients>,
}

impl HttpSettings {
    pub(crate) fn new(settings: &config::Http) -> Self {
        Self {
            now: Mutex::new(Arc::new(settings.clone())),
            admission: Arc::new(Admission::new("http", settings.connections)),
            refused: Arc::default(),
        }
    }

    pub(super) fn get(&self) -> Arc<config::Http> {
        Arc::clone(&self.lock())
    }

    /// Requests to come are served by these.
    pub(crate) fn set(&self, settings: &config::Http) {
        *self.lock() = Arc::new(settings.clone());
        self.admission.set_limits(settings.connections);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<config::Http>> {
        // Nothing in the lock panics half-way.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
