//! A place in the waiting room: what somebody who waits has seen, and what wakes them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::{ChatId, SessionKey, UserId};
use crate::store::ChatProgress;

/// What somebody who waits is to be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// Themselves.
    Person(UserId),
    /// The other member of the chat that they look at.
    Peer(UserId),
    /// That chat.
    Chat(ChatId),
}

/// What somebody has seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The messages of a chat up to a number.
    Messages { chat: ChatId, up_to: u64 },
    /// Conversations, each as far as it had got. A chat that is not among them is news.
    Conversations(SeenChats),
}

/// How far the chats of one person had got. Thousands wait with a list of them, so it is as small as it can be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SeenChats(Box<[SeenChat]>);

/// A chat of a known person: by the other member, with its three numbers. A number too large for its place is kept as the
/// largest there is, so that everything after it is news.
#[derive(Debug, PartialEq, Eq)]
struct SeenChat {
    peer: UserId,
    last_seq: u32,
    read_seqs: [u32; 2],
}

/// Why somebody is woken. The later ones outweigh the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waking {
    /// To look again: there may be something that they have not seen, or their session may have ended.
    Look,
    /// To look a last time: the other person may be gone, or have blocked them.
    LastLook,
    /// Their time is up, their place is taken from them, or the process ends.
    End,
}

/// A place of one session.
pub(super) struct Place {
    pub(super) key: SessionKey,
    pub(super) since: Instant,
    pub(super) until: Instant,
    state: Mutex<State>,
    notify: Notify,
}

struct State {
    seen: Seen,
    waking: Option<Waking>,
    is_leaving: bool,
}

impl Seen {
    /// What its owner is to be found by.
    pub(super) fn subjects(&self, owner: UserId) -> Vec<Subject> {
        match self {
            Self::Messages { chat, .. } => {
                let peer = chat.peer_of(owner).map(Subject::Peer);
                [Subject::Person(owner), Subject::Chat(*chat)].into_iter().chain(peer).collect()
            }
            Self::Conversations(_) => vec![Subject::Person(owner)],
        }
    }

    fn lacks(&self, progress: &ChatProgress) -> bool {
        match self {
            Self::Messages { chat, up_to } => progress.chat == *chat && progress.last_seq > *up_to,
            Self::Conversations(seen) => seen.lack(progress),
        }
    }
}

impl SeenChats {
    /// Chats of this person.
    pub(super) fn of(owner: UserId, chats: &[ChatProgress]) -> Self {
        let seen = chats.iter().filter_map(|progress| {
            let peer = progress.chat.peer_of(owner)?;
            Some(SeenChat { peer, last_seq: short(progress.last_seq), read_seqs: progress.read_seqs.map(short) })
        });
        Self(seen.collect())
    }

    fn lack(&self, progress: &ChatProgress) -> bool {
        let seen = self.0.iter().find(|seen| progress.chat.members().contains(&seen.peer));
        seen.is_none_or(|seen| {
            let (last_seq, read_seqs) = (seen.last_seq.into(), seen.read_seqs.map(u64::from));
            progress.is_further_than(&ChatProgress { chat: progress.chat, last_seq, read_seqs })
        })
    }
}

fn short(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}

impl Place {
    /// A place for so long.
    pub(super) fn new(key: SessionKey, seen: Seen, time: Duration) -> Self {
        let (since, state) = (Instant::now(), State { seen, waking: None, is_leaving: false });
        Self { key, since, until: since + time, state: Mutex::new(state), notify: Notify::new() }
    }

    /// Whether whoever is here was told to go.
    pub(super) fn is_leaving(&self) -> bool {
        self.state().is_leaving
    }

    /// Wakes whoever is here if that is news to them.
    pub(super) fn hear(&self, progress: &ChatProgress) {
        let lacks = self.state().seen.lacks(progress);
        if lacks {
            self.wake(Waking::Look);
        }
    }

    /// Wakes whoever is here, also if they begin to wait only later.
    pub(super) fn wake(&self, waking: Waking) {
        let mut state = self.state();
        state.waking = state.waking.max(Some(waking));
        state.is_leaving |= waking == Waking::End;
        self.notify.notify_one();
    }

    /// Waits until there is a reason not to.
    pub(super) async fn wait(&self) -> Waking {
        let woken = async {
            loop {
                let waking = self.state().waking.take();
                match waking {
                    Some(waking) => return waking,
                    None => self.notify.notified().await,
                }
            }
        };
        tokio::time::timeout_at(self.until, woken).await.unwrap_or(Waking::End)
    }

    /// Notes what has been seen by a further look. What happened during it wakes again.
    pub(super) fn note(&self, seen: Seen) {
        self.state().seen = seen;
    }

    /// A panic elsewhere leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
