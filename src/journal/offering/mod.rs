//! The journal agent of an engine in a group: gathers what is to be recorded and hands it to the member's
//! thread, and says what is recorded once that has written it.
//!
//! It stands where `writer` stands without a group, with the same neighbours, and touches no file: what a
//! record becomes depends on the group, and the member's thread writes segments as standby and as active
//! alike. Each frame is copied once, into the buffer that goes round.
//!
//! ```text
//!             Run, Settled  +----------+   Filled     +-----------------+
//!  SCHEDULER =============> | gathered | ==========> | member's thread | --publish--> ... --write-->
//!            <============= +----------+ <=Wanted===  +-----------------+
//!   Recorded, Returned        outstanding <=Opened==
//! ```

mod agent;
mod core;

pub(crate) use self::agent::{OfferingAgent, OfferingParts};
