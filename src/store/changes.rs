//! News of changes, for those who wait for them.
//!
//! News is a hint to look, never the data itself, and may come twice, late, or not at all: whoever waits compares states
//! before and after, and does not wait for ever.

use std::sync::{Arc, PoisonError, RwLock};

use super::Message;
use crate::domain::{ChatId, UserId};

/// How far a chat is known to have got. Numbers of a chat only grow, so each is a lower bound, and 0 where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatProgress {
    /// The chat.
    pub chat: ChatId,
    /// The number of its last message.
    pub last_seq: u64,
    /// Up to where its members have read, in the order of [`ChatId::members`].
    pub read_seqs: [u64; 2],
}

impl ChatProgress {
    /// Whether something has happened that `other` does not show.
    #[must_use]
    pub fn is_further_than(&self, other: &Self) -> bool {
        self.last_seq > other.last_seq || self.read_seqs.iter().zip(&other.read_seqs).any(|(own, other)| own > other)
    }

    /// What is known by a message, which its sender has read.
    pub(super) fn of_message(message: &Message) -> Self {
        Self::of_reader(message.chat, message.sender, message.seq, message.seq)
    }

    /// What is known once a member of a chat has read up to a message: nothing of how far the other has.
    pub(super) fn of_reader(chat: ChatId, reader: UserId, read_seq: u64, last_seq: u64) -> Self {
        Self { chat, last_seq, read_seqs: chat.members().map(|member| if member == reader { read_seq } else { 0 }) }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A message was sent, or a member has read further.
    Chat(ChatProgress),
    /// Sessions of this person have begun or ended, or they have blocked somebody or ended that, or deleted their account.
    Access(UserId),
}

/// Somebody who wants to hear of changes.
pub trait ChangeListener: Send + Sync {
    /// Whether somebody waits at present. While nobody does, a store does not ask its database for changes.
    fn is_waiting(&self) -> bool;

    /// Takes a change in. Called wherever the change is noticed, so it must be quick and must not block.
    fn notice(&self, change: &Change);
}

/// Those who listen to a store.
#[derive(Default)]
pub(super) struct Listeners(RwLock<Vec<Arc<dyn ChangeListener>>>);

impl Listeners {
    /// Adds one, who listens as long as the store lives.
    pub(super) fn add(&self, listener: Arc<dyn ChangeListener>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Whether one of them waits at present.
    pub(super) fn is_anybody_waiting(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().any(|listener| listener.is_waiting())
    }

    /// Tells all of them.
    pub(super) fn tell(&self, change: &Change) {
        for listener in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener.notice(change);
        }
    }
}
