//! People for the tests: made fresh, so that tests do not meet.

use std::sync::atomic::{AtomicU64, Ordering};

use chat_functions::domain::{
    ChatId, ClientId, Email, MessageText, PasswordHash, Session, SessionId, SessionKey, Timestamp, UserId, Username,
};
use chat_functions::store::{Append, ChatHead, Creation, Message, NewAccount, NewMessage, Store, User};

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// An account that nobody has.
pub fn new_account() -> NewAccount {
    let name = format!("person{}-{}", COUNT.fetch_add(1, Ordering::Relaxed), &UserId::generate().to_string()[26..]);
    account_named(&name, &format!("{name}@example.com"))
}

pub fn account_named(name: &str, email: &str) -> NewAccount {
    let user = User {
        id: UserId::generate(),
        username: Username::parse(name).expect("a name"),
        email: Email::parse(email).expect("an address"),
        is_email_verified: false,
        friends: Vec::new(),
        messages_from: chat_functions::store::MessagesFrom::Everyone,
        last_login: Some(NOW),
        created_at: NOW,
    };
    NewAccount { user, password_hash: hash(), session: new_session(NOW) }
}

pub fn hash() -> PasswordHash {
    PasswordHash::new(HASH.to_owned())
}

pub fn new_session(at: Timestamp) -> Session {
    Session::begin(&SessionId::generate().expect("random bytes"), at, Some("tests".to_owned()))
}

/// A person with an account and a session.
pub struct Person {
    pub account: NewAccount,
}

impl Person {
    pub async fn create(store: &dyn Store) -> Self {
        let account = new_account();
        assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
        Self { account }
    }

    pub fn id(&self) -> UserId {
        self.account.user.id
    }

    pub fn key(&self) -> SessionKey {
        self.key_of(&self.account.session)
    }

    pub fn key_of(&self, session: &Session) -> SessionKey {
        SessionKey { user: self.id(), session: session.hash }
    }

    pub async fn profile(&self, store: &dyn Store) -> User {
        store.find_profile(&self.key()).await.expect("an answer").expect("a person").record
    }
}

/// Two people and their chat.
pub struct Pair {
    pub ann: Person,
    pub bob: Person,
    pub chat: ChatId,
}

impl Pair {
    pub async fn create(store: &dyn Store) -> Self {
        let (ann, bob) = (Person::create(store).await, Person::create(store).await);
        let chat = ChatId::between(ann.id(), bob.id()).expect("two people");
        Self { ann, bob, chat }
    }

    pub fn message(&self, sender: &Person, text: &str) -> NewMessage {
        message(self.chat, sender.id(), text, None)
    }
}

pub fn message(chat: ChatId, sender: UserId, text: &str, client_id: Option<&str>) -> NewMessage {
    NewMessage {
        chat,
        sender,
        text: MessageText::parse(text.to_owned()).expect("a text"),
        client_id: client_id.map(|id| ClientId::parse(id).expect("an id")),
        sent_at: NOW,
    }
}

/// Appends with a fresh head, as a request does.
pub async fn send(store: &dyn Store, message: &NewMessage) -> Message {
    let head = store.find_chat_head(message.chat).await.expect("an answer");
    stored(store.append_message(message, head).await.expect("an answer"))
}

#[track_caller]
pub fn stored(append: Append) -> Message {
    match append {
        Append::Stored(message) => message,
        other => panic!("not stored: {other:?}"),
    }
}

pub fn head_of(message: &Message) -> ChatHead {
    ChatHead { last_seq: message.seq, last_sent_at: message.sent_at }
}
