//! People for the tests: made fresh, so that tests do not meet.

use std::sync::atomic::{AtomicU64, Ordering};

use chat_functions::domain::{
    ChatId, ClientId, Email, MailKind, MailPurpose, MailToken, MessageText, PasswordHash, Session, SessionId, SessionKey, Timestamp,
    UserId, Username,
};
use chat_functions::store::{
    AccountData, AddressMail, Append, BlockAddition, ChatHead, Creation, DueMail, EmailChange, FriendAddition, HOLD_REGISTRATION_MILLIS,
    MAX_WAIT_MILLIS, Message, NewAccount, NewMail, NewMailToken, NewMessage, ProfileChange, ProfileUpdate, Registration,
    RegistrationOutcome, Store, User,
};
use tokio::sync::Mutex;

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA";

static COUNT: AtomicU64 = AtomicU64::new(0);
/// What [`may_put`] has taken of registrations, and of others while it looked for them. What is due is everybody's.
static TAKEN: Mutex<Vec<DueMail>> = Mutex::const_new(Vec::new());

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
        pending_email: None,
        friends: Vec::new(),
        messages_from: chat_functions::store::MessagesFrom::Everyone,
        last_login: Some(NOW),
        created_at: NOW,
    };
    NewAccount { user, password_hash: hash(), session: new_session(NOW), mail: None }
}

pub fn hash() -> PasswordHash {
    PasswordHash::new(HASH.to_owned())
}

pub fn new_session(at: Timestamp) -> Session {
    Session::begin(&SessionId::generate().expect("random bytes"), at, Some("tests".to_owned()))
}

/// A registration of this address under a name that nobody has.
pub fn new_registration(email: &Email) -> Registration {
    let user = new_account().user;
    let mail = new_mail(MailKind::Verification, email, NOW);
    Registration { id: user.id, username: user.username, email: email.clone(), password_hash: hash(), created_at: NOW, mail }
}

/// When a [`new_registration`] is over.
pub fn registration_end() -> Timestamp {
    NOW.plus_millis(HOLD_REGISTRATION_MILLIS)
}

pub fn new_mail(kind: MailKind, address: &Email, at: Timestamp) -> NewMail {
    NewMail { kind, address: address.clone(), at }
}

/// What mail to the present address of an account may be for.
pub const PURPOSES: [MailPurpose; 3] = [MailPurpose::Verification, MailPurpose::NewAddress, MailPurpose::PasswordReset];

/// A token that begins now.
pub fn new_token(purpose: MailPurpose, address: &Email) -> NewMailToken {
    let hash = MailToken::generate().expect("random bytes").hash();
    NewMailToken { purpose, hash, address: address.clone(), expires_at: NOW.plus_millis(purpose.lifetime_millis()), link: None }
}

/// Puts a token out that begins now.
pub async fn put_token(store: &dyn Store, user: UserId, purpose: MailPurpose, address: &Email) -> NewMailToken {
    let token = new_token(purpose, address);
    assert!(may_put(store, user, &token).await);
    token
}

/// Puts a token out by a mail that is ordered for it and has arrived then, or for a registration by the one that it came with. Whether
/// that was allowed.
pub async fn may_put(store: &dyn Store, user: UserId, token: &NewMailToken) -> bool {
    let mut pool = TAKEN.lock().await;
    let kind = MailKind::parse(token.purpose.as_str()).expect("the kind of that purpose");
    store.order_mail(user, &new_mail(kind, &token.address, Timestamp::from_millis(1))).await.expect("an answer");
    let is_ordered = |mail: &DueMail| mail.user == user && !mail.is_pending;
    while let Some(mail) = store.take_due_mail(NOW, NOW.plus_millis(MAX_WAIT_MILLIS)).await.expect("an answer") {
        pool.push(mail);
        if pool.last().is_some_and(is_ordered) {
            break;
        }
    }
    let Some(place) = pool.iter().rposition(|mail| mail.user == user) else { return false };
    let mail = pool.remove(place);
    let is_put = store.put_mail_token(&mail, token, NOW).await.expect("an answer");
    let mail = if is_put { mail.begun_with(token.hash) } else { mail };
    if mail.is_pending {
        pool.push(mail);
    } else {
        store.finish_mail(&mail).await.expect("finished");
    }
    is_put
}

/// Orders a mail and takes it. What else is due by then is kept for those who ordered it.
pub async fn order_and_take(store: &dyn Store, user: UserId, kind: MailKind, address: &Email) -> DueMail {
    let mut pool = TAKEN.lock().await;
    store.order_mail(user, &new_mail(kind, address, Timestamp::from_millis(1))).await.expect("an answer");
    loop {
        let mail = store.take_due_mail(NOW, NOW.plus_millis(1_000_000)).await.expect("an answer").expect("what was ordered");
        if (mail.user, mail.kind, &mail.address) == (user, kind, address) {
            return mail;
        }
        pool.push(mail);
    }
}

/// A change of address as it is on a server that sends no mail.
pub fn to_email(email: &Email) -> EmailChange {
    EmailChange { address: email.clone(), is_proven: true, by_link: false, mail: AddressMail::None }
}

pub fn other_hash() -> PasswordHash {
    PasswordHash::new("another hash".to_owned())
}

/// Notes a registration; `false` when its name is taken.
pub async fn note(store: &dyn Store, registration: &Registration) -> bool {
    matches!(store.create_registration(registration).await.expect("an answer"), RegistrationOutcome::Noted)
}

/// Notes a registration.
pub async fn register(store: &dyn Store, email: &Email) -> Registration {
    let registration = new_registration(email);
    assert!(note(store, &registration).await);
    registration
}

/// Whether a token may be used now.
pub async fn is_good(store: &dyn Store, token: &NewMailToken) -> bool {
    store.find_mail_token(&token.hash, token.purpose, NOW).await.expect("an answer").is_some()
}

/// The same address in other letters.
pub fn louder(address: &Email) -> Email {
    Email::parse(&address.as_str().to_ascii_uppercase()).expect("an address")
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

    /// All that is kept of them.
    pub async fn data(&self, store: &dyn Store) -> AccountData {
        store.find_account_data(&self.key()).await.expect("an answer").expect("a person").record
    }

    /// Their address.
    pub fn email(&self) -> &Email {
        &self.account.user.email
    }

    /// Changes their address to one that nobody has.
    pub async fn move_to_new_address(&self, store: &dyn Store, at: Timestamp) -> Email {
        let email = new_account().user.email;
        self.move_to(store, &email, at).await;
        email
    }

    /// Changes their address to this one, which is free.
    pub async fn move_to(&self, store: &dyn Store, email: &Email, at: Timestamp) {
        let change = ProfileChange { email: Some(to_email(email)), ..ProfileChange::default() };
        let updated = store.update_profile(&self.key(), &change, at).await.expect("an answer");
        assert!(matches!(updated, ProfileUpdate::Updated(_)), "{updated:?}");
    }

    pub async fn log_in(&self, store: &dyn Store, at: Timestamp) -> Session {
        let session = new_session(at);
        store.start_session(self.id(), &hash(), None, &session).await.expect("an answer").expect("a person");
        session
    }

    pub async fn add(&self, store: &dyn Store, friend: &Person) {
        assert_eq!(store.add_friend(self.id(), friend.id(), NOW).await.expect("an answer"), FriendAddition::Added);
    }

    pub async fn block(&self, store: &dyn Store, other: &Person) {
        assert_eq!(store.block(self.id(), other.id(), NOW).await.expect("an answer"), BlockAddition::Blocked);
    }

    pub async fn delete(&self, store: &dyn Store) {
        assert!(store.delete_account(self.id(), &hash(), NOW).await.expect("an answer"));
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
