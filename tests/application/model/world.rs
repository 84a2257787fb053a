//! The model: what there is after some steps, as simply as it can be said.

use chat_functions::domain::{ChatId, UserId};

use super::step::{Caller, PEOPLE, Slot, Token, Whom};

/// An account, by the order of coming into being.
pub type Number = usize;

/// Everything that a run knows of.
pub struct World {
    /// How every name of this run begins.
    pub stem: String,
    pub accounts: Vec<Account>,
    /// Who is in whose place.
    pub slots: [Number; PEOPLE],
    pub chats: Vec<Chat>,
}

pub struct Account {
    pub id: UserId,
    pub username: String,
    pub email: String,
    pub is_deleted: bool,
    pub from_friends_only: bool,
    /// In the order of adding.
    pub friends: Vec<Number>,
    /// In the order of blocking; those who are gone too.
    pub blocks: Vec<Number>,
    /// In the order of beginning.
    pub sessions: Vec<Session>,
    /// The list of conversations when they last asked for it by [`Step::Revisit`](super::step::Step), and its tag.
    pub visited: Option<(String, serde_json::Value)>,
}

#[derive(Clone)]
pub struct Session {
    pub token: String,
    /// Its name in lists.
    pub public_id: String,
    pub is_live: bool,
}

pub struct Chat {
    pub id: ChatId,
    pub members: [Number; 2],
    /// Up to where each member has read.
    pub read: [usize; 2],
    /// The message with the number n is at n - 1.
    pub messages: Vec<Message>,
}

#[derive(Clone)]
pub struct Message {
    pub sender: Number,
    pub text: String,
    pub key: Option<u8>,
    /// As it was answered; such times are in the order of their letters.
    pub timestamp: String,
}

/// A session of somebody, as a request carries it.
pub struct Bearer {
    pub number: Number,
    /// `None` when the request has no token.
    pub token: Option<Session>,
}

impl World {
    pub fn at(&self, slot: Slot) -> &Account {
        &self.accounts[self.slots[slot]]
    }

    pub fn bearer(&self, caller: Caller) -> Bearer {
        let number = self.slots[caller.who];
        let (lives, choice) = match caller.token {
            Token::Missing => return Bearer { number, token: None },
            Token::Live(choice) => (true, choice),
            Token::Ended(choice) => (false, choice),
        };
        let all = &self.accounts[number].sessions;
        let wanted: Vec<_> = all.iter().filter(|session| session.is_live == lives).collect();
        let token = pick(&wanted, choice).map_or_else(|| pick(all, choice), |session| Some(*session));
        Bearer { number, token: token.cloned() }
    }

    /// The account that a request names, if its text is an id of one that was there.
    pub fn named(&self, whom: Whom) -> Option<Number> {
        match whom {
            Whom::Person(slot) => Some(self.slots[slot]),
            Whom::Gone(choice) => {
                let gone: Vec<_> = (0..self.accounts.len()).filter(|number| self.accounts[*number].is_deleted).collect();
                pick(&gone, choice).copied()
            }
            Whom::Nobody | Whom::Garbage => None,
        }
    }

    pub fn is_there(&self, number: Number) -> bool {
        !self.accounts[number].is_deleted
    }

    pub fn has_added(&self, owner: Number, friend: Number) -> bool {
        self.accounts[owner].friends.contains(&friend)
    }

    pub fn has_blocked(&self, owner: Number, other: Number) -> bool {
        self.accounts[owner].blocks.contains(&other)
    }

    pub fn takes_messages(&self, recipient: Number, sender: Number) -> bool {
        let may_write = !self.accounts[recipient].from_friends_only || self.has_added(recipient, sender);
        may_write && !self.has_blocked(recipient, sender)
    }

    /// Whether a name is somebody's, or was and is held.
    pub fn is_name_taken(&self, name: &str, by_other_than: Option<Number>) -> bool {
        let has_it = |(number, account): (Number, &Account)| Some(number) != by_other_than && account.username.eq_ignore_ascii_case(name);
        self.accounts.iter().enumerate().any(has_it)
    }

    pub fn is_address_taken(&self, email: &str) -> bool {
        self.accounts.iter().any(|account| !account.is_deleted && account.email == email)
    }

    pub fn chat(&self, one: Number, other: Number) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.members.contains(&one) && chat.members.contains(&other) && one != other)
    }

    /// The chat of two people, which begins if there is none.
    pub fn chat_mut(&mut self, one: Number, other: Number) -> &mut Chat {
        let found = self.chats.iter().position(|chat| chat.members.contains(&one) && chat.members.contains(&other));
        let index = found.unwrap_or(self.chats.len());
        if found.is_none() {
            let id = ChatId::between(self.accounts[one].id, self.accounts[other].id).expect("two people");
            self.chats.push(Chat { id, members: [one, other], read: [0, 0], messages: Vec::new() });
        }
        &mut self.chats[index]
    }

    /// The chats of somebody, the latest first.
    pub fn chats_of(&self, number: Number) -> Vec<&Chat> {
        let mut chats: Vec<_> = self.chats.iter().filter(|chat| chat.members.contains(&number)).collect();
        chats.sort_by_key(|chat| std::cmp::Reverse((chat.last().timestamp.clone(), chat.id)));
        chats
    }

    /// Ends an account.
    pub fn delete(&mut self, number: Number) {
        let account = &mut self.accounts[number];
        account.is_deleted = true;
        account.sessions.iter_mut().for_each(|session| session.is_live = false);
        account.blocks.clear();
        account.friends.clear();
        self.accounts.iter_mut().for_each(|account| account.friends.retain(|friend| *friend != number));
    }
}

impl Account {
    pub fn new(id: UserId, username: String, email: String) -> Self {
        Self {
            id,
            username,
            email,
            is_deleted: false,
            from_friends_only: false,
            friends: Vec::new(),
            blocks: Vec::new(),
            sessions: Vec::new(),
            visited: None,
        }
    }

    /// Notes a session that has begun, and the end of the oldest when there are too many: nothing is used for long enough to
    /// count as used.
    pub fn begin(&mut self, session: Session) {
        self.sessions.push(session);
        let live = self.live().count();
        let excess = live.saturating_sub(chat_functions::domain::Session::MAX_PER_USER);
        self.sessions.iter_mut().filter(|session| session.is_live).take(excess).for_each(|session| session.is_live = false);
    }

    pub fn live(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.is_live)
    }

    pub fn end(&mut self, token: &str) {
        self.sessions.iter_mut().filter(|session| session.token == token).for_each(|session| session.is_live = false);
    }

    pub fn end_others(&mut self, token: &str) {
        self.sessions.iter_mut().filter(|session| session.token != token).for_each(|session| session.is_live = false);
    }
}

impl Chat {
    pub fn last(&self) -> &Message {
        self.messages.last().expect("a chat begins with its first message")
    }

    /// Which of the members somebody is.
    pub fn side(&self, number: Number) -> usize {
        usize::from(self.members[1] == number)
    }

    pub fn peer_of(&self, number: Number) -> Number {
        self.members[1 - self.side(number)]
    }

    /// Marks it read by somebody, never backwards.
    pub fn mark(&mut self, number: Number, seq: usize) {
        let side = self.side(number);
        self.read[side] = self.read[side].max(seq);
    }
}

/// One of some things, by a number that may be larger.
pub fn pick<T>(things: &[T], choice: u8) -> Option<&T> {
    if things.is_empty() { None } else { things.get(usize::from(choice) % things.len()) }
}
