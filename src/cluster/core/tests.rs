//! Each row of the table of what is heard and what is done, and what stands beside it.

mod beginning;
mod doubts;
mod hearing;
mod lease;
mod publishes;
mod remaining;
mod republishing;
mod retention;
mod rig;
mod standbys;
mod voids;
