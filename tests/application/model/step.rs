//! What people may do.

/// People at a time.
pub const PEOPLE: usize = 5;

/// One of the people.
pub type Slot = usize;

/// One thing that happens. Numbers that name something are taken modulo how many there are, so that every step means something
/// in every state and a case can be cut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So many log-ins, of which the last may end the oldest sessions.
    LogIn {
        who: Slot,
        door: Door,
        times: u8,
    },
    /// A registration in the place of somebody who is gone; whoever is there tries again under their own name or address.
    Register {
        who: Slot,
        name: u8,
        email: u8,
    },
    LogOut {
        by: Caller,
    },
    /// The end of one of somebody's sessions.
    EndSession {
        by: Caller,
        of: Slot,
        session: u8,
    },
    EndOtherSessions {
        by: Caller,
    },
    Relate {
        by: Caller,
        relation: Relation,
        whom: Whom,
    },
    TakeMessages {
        by: Caller,
        from_friends_only: bool,
    },
    Rename {
        by: Caller,
        name: u8,
    },
    Send {
        by: Caller,
        to: Whom,
        text: u8,
        key: Option<u8>,
    },
    ReadChat {
        by: Caller,
        chat: Chat,
        window: Window,
        limit: Option<u8>,
    },
    ReadAll {
        by: Caller,
        limit: u8,
    },
    ListConversations {
        by: Caller,
        limit: u8,
    },
    /// The list again, unless it is as it was when they last asked.
    Revisit {
        by: Caller,
    },
    MarkRead {
        by: Caller,
        chat: Chat,
        mark: Mark,
    },
    Look {
        by: Caller,
        at: View,
    },
    Delete {
        by: Caller,
        door: Door,
    },
    Mistake {
        by: Caller,
        number: u8,
    },
}

/// By which way an account is entered or left: the store is much faster, because no password is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Store,
    RightPassword,
    WrongPassword,
}

/// Who asks, and with which of their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub who: Slot,
    pub token: Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// One of a session that lives; if none does, any.
    Live(u8),
    /// One of a session that has ended; if none has, any.
    Ended(u8),
    Missing,
}

/// Whom a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// One of the people, perhaps the caller.
    Person(Slot),
    /// Somebody who was there and is gone, if anybody is.
    Gone(u8),
    Nobody,
    /// What is no id.
    Garbage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Befriend,
    Unfriend,
    Block,
    Unblock,
}

/// Which chat a request names, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chat {
    With(Whom),
    /// The caller's chat with somebody, by its id.
    Of(Whom),
    /// The chat of two people, who may be others than the caller.
    Between(Slot, Slot),
}

/// Which part of a chat; a place is below, at or above its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Newest,
    Before(u8),
    After(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Zero,
    /// A message that there is, if any.
    At(u8),
    Last,
    BeyondLast(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Profile,
    Friends,
    Blocks,
    Sessions,
    /// Everybody of this run, by the beginning of their names.
    People,
    /// Everybody who ever was in this run, by their ids.
    Ids,
}
