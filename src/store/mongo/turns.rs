//! Turns at the end of a chat: senders of one process queue for it here instead of colliding in the database.
//!
//! Correctness does not need it, since the unique key decides whatever the process; it only saves attempts.

use tokio::sync::{Mutex, MutexGuard};

use super::connection::DEADLINE;
use crate::domain::ChatId;
use crate::store::StoreError;

/// Queues, shared by the chats that hash alike.
const QUEUES: usize = 256;

pub(super) struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(QUEUES).collect())
    }
}

impl Turns {
    /// Waits for the turn at a chat, but not for long: those before may be stuck. It ends when the guard is dropped.
    pub(super) async fn take(&self, chat: ChatId) -> Result<MutexGuard<'_, ()>, StoreError> {
        // The last bytes of both members are random.
        let [low, high] = chat.members().map(|member| usize::from(member.to_bytes()[15]));
        let turn = self.0[(low ^ high.rotate_left(1)) % QUEUES].lock();
        tokio::time::timeout(DEADLINE, turn).await.map_err(|_late| StoreError::Overloaded)
    }
}
