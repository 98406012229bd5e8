//! The service from the outside, without a socket: requests in, answers out, and the disk in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod announcements;
mod bench;
mod deadlines;
mod dropouts;
mod enrolment;
mod long_poll;
mod messages;
mod restarts;
mod study_run;
mod uploads;
mod withdrawals;
