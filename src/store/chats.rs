//! What the Chat service keeps: chats and their numbered messages.

use async_trait::async_trait;

use super::{ChatProgress, Person, StoreError};
use crate::domain::{ChatId, ClientId, MessageId, MessageText, Timestamp, UserId};

/// The end of a chat as it was at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatHead {
    /// The number of the last message.
    pub last_seq: u64,
    /// When the last message was sent.
    pub last_sent_at: Timestamp,
}

/// A message to be stored. The recipient is the chat's other member.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The chat. `sender` is one of its members.
    pub chat: ChatId,
    /// Who sends.
    pub sender: UserId,
    /// The text.
    pub text: MessageText,
    /// The client's name for this send, unique per chat and sender.
    pub client_id: Option<ClientId>,
    /// The sender's present.
    pub sent_at: Timestamp,
}

impl NewMessage {
    /// This message after the last one of its chat: the next number, and a time that is not earlier, unless the last one was
    /// stamped by a clock too far ahead.
    #[must_use]
    pub fn after(&self, last: Option<ChatHead>) -> Message {
        let earliest = last.map(|last| last.last_sent_at).filter(|sent_at| sent_at.is_credible(self.sent_at));
        Message {
            chat: self.chat,
            seq: last.map_or(1, |last| last.last_seq + 1),
            sender: self.sender,
            content: self.text.as_str().to_owned(),
            sent_at: earliest.map_or(self.sent_at, |earliest| earliest.max(self.sent_at)),
        }
    }

    /// What becomes of it when its client id was used before, for `first`.
    pub(super) fn repeating(&self, first: Message) -> Append {
        if first.content == self.text.as_str() { Append::Replayed(first) } else { Append::Mismatch }
    }
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The chat.
    pub chat: ChatId,
    /// The number in the chat: 1, 2, 3, … without a gap.
    pub seq: u64,
    /// Who sent it.
    pub sender: UserId,
    /// The text, byte for byte.
    pub content: String,
    /// When it was sent; never before its predecessor in the chat.
    pub sent_at: Timestamp,
}

impl Message {
    /// The identifier that clients see.
    #[must_use]
    pub fn id(&self) -> MessageId {
        MessageId { chat: self.chat, seq: self.seq }
    }

    /// Who received it: the chat's other member.
    #[must_use]
    pub fn recipient(&self) -> UserId {
        let [low, high] = self.chat.members();
        if self.sender == low { high } else { low }
    }
}

/// What became of a message to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Append {
    /// It is the chat's newest message.
    Stored(Message),
    /// A message with the same client id and text was stored before; this is it.
    Replayed(Message),
    /// A message with the same client id and another text was stored before; nothing was changed.
    Mismatch,
}

/// Which part of a chat is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The newest messages.
    Newest,
    /// The newest with a number below this.
    Before(u64),
    /// The oldest with a number above this.
    After(u64),
}

/// A place in the list over all chats: the message it names is the last one seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageCursor {
    /// When that message was sent.
    pub sent_at: Timestamp,
    /// Its chat.
    pub chat: ChatId,
    /// Its number.
    pub seq: u64,
}

impl MessageCursor {
    /// The place of a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self { sent_at: message.sent_at, chat: message.chat, seq: message.seq }
    }
}

/// A chat as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Whose view it is.
    pub reader: UserId,
    /// The chat's last message.
    pub last_message: Message,
    /// Up to which number the reader has read; 0 when nothing was read.
    pub read_seq: u64,
    /// Up to which number the other person has read.
    pub peer_read_seq: u64,
    /// The other person; `None` when their account was deleted, or their record does not decode.
    pub peer: Option<Person>,
}

impl Conversation {
    /// The chat.
    #[must_use]
    pub fn chat(&self) -> ChatId {
        self.last_message.chat
    }

    /// The other member.
    #[must_use]
    pub fn peer_id(&self) -> UserId {
        let (sender, recipient) = (self.last_message.sender, self.last_message.recipient());
        if sender == self.reader { recipient } else { sender }
    }

    /// How far the chat has got.
    #[must_use]
    pub fn progress(&self) -> ChatProgress {
        let [low, _] = self.chat().members();
        let (own, peer) = (self.read_seq, self.peer_read_seq);
        let read_seqs = if self.reader == low { [own, peer] } else { [peer, own] };
        ChatProgress { chat: self.chat(), last_seq: self.last_message.seq, read_seqs }
    }
}

/// A place in the list of conversations: the one that it names is the last one seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// When its last message was sent.
    pub sent_at: Timestamp,
    /// Its chat.
    pub chat: ChatId,
}

impl ConversationCursor {
    /// The place of a conversation.
    #[must_use]
    pub fn of(conversation: &Conversation) -> Self {
        Self { sent_at: conversation.last_message.sent_at, chat: conversation.chat() }
    }
}

impl From<MessageCursor> for ConversationCursor {
    /// The place of the conversation whose last message is there.
    fn from(cursor: MessageCursor) -> Self {
        Self { sent_at: cursor.sent_at, chat: cursor.chat }
    }
}

/// What became of a read mark to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Marking {
    /// The chat is read at least as far as asked for.
    Read {
        /// The mark, which is further on if it was before.
        read_seq: u64,
        /// The number of the chat's last message.
        last_seq: u64,
    },
    /// The chat has no message of that number yet; nothing was changed.
    BeyondLast,
    /// There is no such chat of this person.
    NoChat,
}

/// Chats and messages.
///
/// A record that does not decode is left out of lists over all chats, and its key is logged; in the list of its own chat it is an
/// error, because what is left out there would look as if it had never been sent.
#[async_trait]
pub trait ChatStore: Send + Sync {
    /// The person's chats, the one with the newest message first, at most `limit`. A chat exists once it has a message.
    async fn list_chat_ids(&self, user: UserId, limit: usize) -> Result<Vec<ChatId>, StoreError>;

    /// The end of a chat; `None` when it has no message. One operation. A writer may be ahead of it, never behind.
    async fn find_chat_head(&self, chat: ChatId) -> Result<Option<ChatHead>, StoreError>;

    /// Appends a message, creating the chat with its first one, and marks the chat read for the sender up to it.
    ///
    /// The message takes the number after the last, and its time is not before the last one's: `sent_at` or that of
    /// its predecessor, whichever is later. A number becomes visible only after its predecessor, whoever writes; a
    /// message whose append returned is in every later list. With a client id the message is stored at most once, in
    /// any process and after any restart, as long as it exists.
    ///
    /// `head` is the chat's end as the caller has read it: a hint that saves an operation and may be stale. With a
    /// fresh one it costs two operations.
    async fn append_message(&self, message: &NewMessage, head: Option<ChatHead>) -> Result<Append, StoreError>;

    /// At most `limit` messages of one chat in ascending order of their numbers; none when there is no such chat. One
    /// operation.
    async fn list_chat_messages(&self, chat: ChatId, window: Window, limit: usize) -> Result<Vec<Message>, StoreError>;

    /// At most `limit` messages that the person has sent or received in any chat, newest first: by the time of sending,
    /// then chat, then number, all descending; with a cursor those behind it. At most two operations.
    async fn list_messages(&self, user: UserId, before: Option<&MessageCursor>, limit: usize) -> Result<Vec<Message>, StoreError>;

    /// At most `limit` of the person's conversations, the one with the newest message first, and of those at one instant
    /// that with the highest chat id; with a cursor those behind it. Two operations. `at` decides which sessions have expired.
    async fn list_conversations(
        &self,
        user: UserId,
        before: Option<&ConversationCursor>,
        limit: usize,
        at: Timestamp,
    ) -> Result<Vec<Conversation>, StoreError>;

    /// Marks a chat read by one of its members up to a message, which must exist. A mark never moves back, whatever order marks
    /// arrive in, and each member has their own. One operation, more when nothing is marked.
    async fn mark_read(&self, reader: UserId, chat: ChatId, seq: u64) -> Result<Marking, StoreError>;
}
