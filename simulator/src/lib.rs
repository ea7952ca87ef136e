//! The message servers, played.
