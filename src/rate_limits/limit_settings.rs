//! How often each thing may happen: what each limit counts, and the defaults.

use crate::store::Quota;

/// How much traffic one caller may make: a bucket of `count` requests, full at first, which fills up again within
/// `window_millis`, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Requests at once; at least 1 and at most [`MAX_COUNT`](Self::MAX_COUNT).
    pub count: u32,
    /// How long an empty bucket takes to fill, in milliseconds; at least a second, and whole seconds.
    pub window_millis: i64,
}

impl Bucket {
    /// The largest bucket; more would be no limit.
    pub const MAX_COUNT: u32 = 1_000_000;
}

/// All limits. The first group is counted in the store, for all instances together, and protects people; the second in
/// the memory of each process, and protects that process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Whether anything is limited at all.
    pub is_on: bool,
    /// Failed log-ins to one account from one net.
    pub login_account_net: Quota,
    /// Failed log-ins to one account from all nets but those with a good log-in to it.
    pub login_account: Quota,
    /// Failed log-ins from one net to all accounts.
    pub login_net: Quota,
    /// Registrations from one net.
    pub register: Quota,
    /// Mail tokens from one net that are none.
    pub mail_token: Quota,
    /// Mails asked for to one address.
    pub mail_address: Quota,
    /// Mails asked for from one net.
    pub mail_net: Quota,
    /// Wrong current passwords of one person.
    pub password_check: Quota,
    /// Chats that one person begins with people who have not added them.
    pub new_chats: Quota,
    /// Messages that one person sends.
    pub send: Bucket,
    /// Other requests of one person.
    pub read: Bucket,
    /// Searches of one person.
    pub search: Bucket,
    /// Requests from one net without a valid token.
    pub anonymous: Bucket,
    /// Requests that wait for news.
    pub polls: PollLimits,
    /// Password hashes that may wait for one net.
    pub waiting_hashes: usize,
}

/// How many requests may wait for news at a time in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollLimits {
    /// Of one session.
    pub per_session: usize,
    /// Of one person.
    pub per_user: usize,
    /// Of all together.
    pub in_all: usize,
}

impl PollLimits {
    /// The highest of each; a process takes no more connections than a few times this anyway.
    pub const MAX_COUNT: usize = 1_000_000;
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Default for LimitSettings {
    fn default() -> Self {
        let quota = |count, window_millis| Quota { count, window_millis };
        let bucket = |count, window_millis| Bucket { count, window_millis };
        Self {
            is_on: true,
            login_account_net: quota(5, 15 * MINUTE),
            login_account: quota(30, HOUR),
            login_net: quota(50, 15 * MINUTE),
            register: quota(10, HOUR),
            mail_token: quota(20, 15 * MINUTE),
            mail_address: quota(3, HOUR),
            mail_net: quota(10, HOUR),
            password_check: quota(5, 15 * MINUTE),
            new_chats: quota(50, DAY),
            send: bucket(20, 10 * SECOND),
            read: bucket(100, 5 * SECOND),
            search: bucket(30, MINUTE),
            anonymous: bucket(60, 30 * SECOND),
            polls: PollLimits { per_session: 4, per_user: 10, in_all: 5_000 },
            waiting_hashes: 4,
        }
    }
}

impl LimitSettings {
    /// Nothing limited.
    #[must_use]
    pub fn off() -> Self {
        let polls = PollLimits { per_session: usize::MAX, per_user: usize::MAX, in_all: usize::MAX };
        Self { is_on: false, polls, waiting_hashes: usize::MAX, ..Self::default() }
    }
}
