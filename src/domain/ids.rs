//! Identifiers. To clients they are opaque strings; inside they are typed, so that swapped arguments do not compile.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::hex::{Hex, parse_hex};

/// A person's identifier: 32 lower-case hexadecimal digits.
///
/// Made by UUID version 7, so that neighbours in time are neighbours in an index; nothing relies on that order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId([u8; 16]);

impl UserId {
    /// A new identifier that no one else has.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().into_bytes())
    }

    /// Accepts the exact form that [`Display`](fmt::Display) writes and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// The 16 bytes that stores keep.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// A chat's identifier: its two members in ascending order, 64 lower-case hexadecimal digits.
///
/// Two people have one chat, so the pair is the key. This makes "only one chat for a pair" the primary key's own rule,
/// lets a first message be written without creating the chat before it, and tells who is a member without any I/O.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatId {
    low: UserId,
    high: UserId,
}

impl ChatId {
    /// The chat of two people; `None` for one person alone.
    #[must_use]
    pub fn between(one: UserId, other: UserId) -> Option<Self> {
        match one.cmp(&other) {
            std::cmp::Ordering::Less => Some(Self { low: one, high: other }),
            std::cmp::Ordering::Greater => Some(Self { low: other, high: one }),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Accepts the exact form that [`Display`](fmt::Display) writes and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).and_then(Self::from_bytes)
    }

    /// The members, lower identifier first.
    #[must_use]
    pub fn members(self) -> [UserId; 2] {
        [self.low, self.high]
    }

    /// The other member, or `None` when `user` is not one of the two.
    #[must_use]
    pub fn peer_of(self, user: UserId) -> Option<UserId> {
        match user {
            _ if user == self.low => Some(self.high),
            _ if user == self.high => Some(self.low),
            _ => None,
        }
    }

    /// The 32 bytes that stores keep.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.low.0);
        bytes[16..].copy_from_slice(&self.high.0);
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` when the halves are not in ascending order.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let (mut low, mut high) = ([0; 16], [0; 16]);
        low.copy_from_slice(&bytes[..16]);
        high.copy_from_slice(&bytes[16..]);
        (low < high).then_some(Self { low: UserId(low), high: UserId(high) })
    }
}

/// A message's identifier: its chat and its number there, as `<chat>-<seq>`. Derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    /// The chat that numbers the message.
    pub chat: ChatId,
    /// The message's number in the chat, from 1.
    pub seq: u64,
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.to_bytes()), f)
    }
}

impl fmt::Debug for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.chat, self.seq)
    }
}

/// Clients get what [`Display`](fmt::Display) writes.
macro_rules! serialize_as_text {
    ($($id:ty),+) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

serialize_as_text!(UserId, ChatId, MessageId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_reads_back_what_it_writes() {
        let id = UserId::generate();
        assert_eq!(UserId::parse(&id.to_string()), Some(id));
        assert_eq!(UserId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn only_the_exact_form_is_an_id() {
        let id = UserId::generate().to_string();
        for bad in [&id[1..], &format!("{id}0"), &id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"), "", "zz"] {
            assert_eq!(UserId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_people_have_one_chat_whoever_asks() {
        let (ann, bob) = (UserId::generate(), UserId::generate());
        let chat = ChatId::between(ann, bob).expect("two people");
        assert_eq!(ChatId::between(bob, ann), Some(chat));
        assert_eq!(ChatId::parse(&chat.to_string()), Some(chat));
        assert_eq!(chat.peer_of(ann), Some(bob));
        assert_eq!(chat.peer_of(bob), Some(ann));
        assert_eq!(chat.peer_of(UserId::generate()), None);
    }

    #[test]
    fn nobody_chats_alone_and_the_order_of_members_is_part_of_the_form() {
        let ann = UserId::generate();
        assert_eq!(ChatId::between(ann, ann), None);
        let chat = ChatId::between(ann, UserId::generate()).expect("two people");
        let mut swapped = chat.to_bytes();
        swapped.rotate_left(16);
        assert_eq!(ChatId::from_bytes(swapped), None);
    }
}
