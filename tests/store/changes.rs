//! Who hears of which changes: this process at once, others on the same data soon.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chat_functions::domain::{ChatId, MailPurpose, SessionKey, UserId};
use chat_functions::store::{Append, Change, ChangeListener, ChatProgress, Conversation, Marking, ProfileChange, Store};

use crate::people::{NOW, Pair, Person, hash, message, new_account, new_session, new_token, other_hash, put_token, send};
use crate::races::{at_once, patiently};
use crate::{Context, tests};

/// The one way in which nothing is told twice.
const SQLITE: &[&str] = &["sqlite"];
/// How long a change may take to be heard by another process.
const SOON: Duration = Duration::from_mins(1);

tests!(Context:
    messages_and_marks_are_told,
    changes_of_access_are_told,
    every_listener_is_told,
    what_changes_nothing_is_not_told,
    what_is_repeated_is_not_told_again in SQLITE,
    of_messages_and_marks_at_once_the_last_state_is_told,
);

/// Writes down all that it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<Change>>);

impl ChangeListener for Ear {
    fn is_waiting(&self) -> bool {
        true
    }

    fn notice(&self, change: &Change) {
        self.0.lock().expect("no panic").push(*change);
    }
}

impl Ear {
    fn on(store: &dyn Store) -> Arc<Self> {
        let ear = Arc::new(Self::default());
        store.listen(Arc::clone(&ear) as Arc<dyn ChangeListener>);
        ear
    }

    fn heard(&self) -> Vec<Change> {
        self.0.lock().expect("no panic").clone()
    }

    fn forget(&self) {
        self.0.lock().expect("no panic").clear();
    }

    fn has_heard(&self, wanted: &Change) -> bool {
        self.heard().iter().any(|heard| covers(heard, wanted))
    }

    /// Waits until it has heard of something.
    async fn hears(&self, what: &str, is_heard: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_heard(self) {
            assert!(begun.elapsed() < SOON, "{what} is not heard of, but {:?}", self.heard());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The most that it has heard of a chat.
    fn progress(&self, chat: ChatId) -> ChatProgress {
        let of_chat = self.heard().into_iter().filter_map(|change| match change {
            Change::Chat(progress) => (progress.chat == chat).then_some(progress),
            Change::Access(_) => None,
        });
        of_chat.fold(ChatProgress { chat, last_seq: 0, read_seqs: [0; 2] }, |most, progress| ChatProgress {
            chat,
            last_seq: most.last_seq.max(progress.last_seq),
            read_seqs: [0, 1].map(|side| most.read_seqs[side].max(progress.read_seqs[side])),
        })
    }
}

/// Whether one change tells at least as much as another.
fn covers(heard: &Change, wanted: &Change) -> bool {
    match (heard, wanted) {
        (Change::Chat(heard), Change::Chat(wanted)) => {
            let is_read = heard.read_seqs.iter().zip(wanted.read_seqs).all(|(heard, wanted)| *heard >= wanted);
            heard.chat == wanted.chat && heard.last_seq >= wanted.last_seq && is_read
        }
        (heard, wanted) => heard == wanted,
    }
}

/// An ear on each of two instances.
struct Ears {
    here: Arc<Ear>,
    elsewhere: Arc<Ear>,
    wanted: Vec<Change>,
}

impl Ears {
    fn on(context: &Context) -> Self {
        Self { here: Ear::on(&*context.store), elsewhere: Ear::on(&*context.other), wanted: Vec::new() }
    }

    /// Checks that a change which this process has made was heard here by the time it returned.
    #[track_caller]
    fn told(&mut self, what: &str, change: Change) {
        assert!(self.here.has_heard(&change), "{what}: not heard of {change:?}, but of {:?}", self.here.heard());
        self.wanted.push(change);
    }

    /// Waits until all of it was heard elsewhere, and forgets it.
    async fn settle(&mut self) {
        for change in std::mem::take(&mut self.wanted) {
            self.elsewhere.hears(&format!("{change:?}"), |ear| ear.has_heard(&change)).await;
        }
        self.here.forget();
        self.elsewhere.forget();
    }
}

/// How far a chat has got, with the marks of both people in the order given.
fn progress(pair: &Pair, last_seq: u64, ann: u64, bob: u64) -> Change {
    let read_seqs = pair.chat.members().map(|member| if member == pair.ann.id() { ann } else { bob });
    Change::Chat(ChatProgress { chat: pair.chat, last_seq, read_seqs })
}

async fn messages_and_marks_are_told(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, pair) = (&*alone.store, Pair::create(&*alone.store).await);
    let mut ears = Ears::on(&alone);
    send(store, &pair.message(&pair.ann, "1")).await;
    ears.told("the first message", progress(&pair, 1, 1, 0));
    ears.settle().await;
    send(store, &pair.message(&pair.bob, "2")).await;
    ears.told("an answer", progress(&pair, 2, 0, 2));
    ears.settle().await;
    for number in 3..=6 {
        send(store, &pair.message(&pair.ann, &number.to_string())).await;
        ears.told("another message", progress(&pair, number, number, 0));
    }
    ears.settle().await;
    assert_eq!(store.mark_read(pair.bob.id(), pair.chat, 4).await.expect("an answer"), Marking::Read { read_seq: 4, last_seq: 6 });
    ears.told("a mark", progress(&pair, 6, 0, 4));
    ears.settle().await;
    alone.tear_down().await;
}

async fn changes_of_access_are_told(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, mut ears) = (&*alone.store, Ears::on(&alone));
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(Person::create(store).await);
    }
    let access = |person: &Person| Change::Access(person.id());
    let token = put_token(store, people[4].id(), MailPurpose::PasswordReset, people[4].email()).await;
    people[0].log_in(store, NOW).await;
    ears.told("start_session", access(&people[0]));
    people[1].block(store, &people[2]).await;
    ears.told("block", access(&people[1]));
    ears.settle().await;

    store.end_other_sessions(&people[0].key()).await.expect("ended");
    ears.told("end_other_sessions", access(&people[0]));
    assert!(store.unblock(people[1].id(), people[2].id()).await.expect("an answer"));
    ears.told("unblock", access(&people[1]));
    assert!(store.end_session(&people[2].key(), NOW).await.expect("an answer"));
    ears.told("end_session", access(&people[2]));
    assert!(store.change_password(&people[3].key(), &hash(), &other_hash(), None).await.expect("an answer"));
    ears.told("change_password", access(&people[3]));
    assert_eq!(store.reset_password(&token.hash, &other_hash(), NOW, false).await.expect("an answer"), Some(people[4].id()));
    ears.told("reset_password", access(&people[4]));
    people[5].delete(store).await;
    ears.told("delete_account", access(&people[5]));
    for other in [&people[7], &people[0]] {
        people[6].block(store, other).await;
    }
    ears.told("two blocks", access(&people[6]));
    let heard = ears.here.heard();
    assert!(!heard.contains(&access(&people[7])), "a block is the access of who blocks: {heard:?}");
    ears.settle().await;
    alone.tear_down().await;
}

async fn every_listener_is_told(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, pair) = (&*alone.store, Pair::create(&*alone.store).await);
    let ears: Vec<_> = (0..3).map(|_| Ear::on(store)).collect();
    send(store, &pair.message(&pair.ann, "hello")).await;
    assert!(ears.iter().all(|ear| ear.has_heard(&progress(&pair, 1, 1, 0))));
    alone.tear_down().await;
}

async fn what_changes_nothing_is_not_told(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, mut ears) = (&*alone.store, Ears::on(&alone));
    let (pair, eve) = (Pair::create(store).await, Person::create(store).await);
    leave_access_as_it_is(store, &eve).await;
    let unwritten = ChatId::between(pair.ann.id(), eve.id()).expect("two people");
    assert_eq!(store.mark_read(eve.id(), unwritten, 1).await.expect("an answer"), Marking::NoChat);
    let keyed = message(pair.chat, pair.ann.id(), "hello", Some("key"));
    send(store, &keyed).await;
    ears.told("a message", progress(&pair, 1, 1, 0));
    let other_text = message(pair.chat, pair.ann.id(), "something else", Some("key"));
    assert_eq!(store.append_message(&other_text, None).await.expect("an answer"), Append::Mismatch);
    assert_eq!(store.mark_read(pair.bob.id(), pair.chat, 2).await.expect("an answer"), Marking::BeyondLast);
    assert_eq!(store.mark_read(eve.id(), pair.chat, 1).await.expect("an answer"), Marking::NoChat);
    // What was told before this has been heard with it.
    assert!(store.end_session(&pair.bob.key(), NOW).await.expect("an answer"));
    ears.told("the last", Change::Access(pair.bob.id()));
    let last = Change::Access(pair.bob.id());
    ears.elsewhere.hears("the last", |ear| ear.has_heard(&last)).await;
    let allowed = [last, progress(&pair, 1, 1, 0)];
    for ear in [&ears.here, &ears.elsewhere] {
        let heard = ear.heard();
        assert!(heard.iter().all(|heard| allowed.iter().any(|most| covers(most, heard))), "{heard:?}");
    }
    alone.tear_down().await;
}

/// Everything about somebody that is refused, finds nothing to do, or is no matter of access.
async fn leave_access_as_it_is(store: &dyn Store, person: &Person) {
    let (id, key) = (person.id(), person.key());
    let (wrong, gone) = (other_hash(), SessionKey { user: id, session: new_session(NOW).hash });
    assert!(store.start_session(id, &wrong, None, &new_session(NOW)).await.expect("an answer").is_none());
    assert!(!store.end_session(&gone, NOW).await.expect("an answer"));
    store.end_other_sessions(&key).await.expect("none");
    assert!(!store.change_password(&key, &wrong, &hash(), None).await.expect("an answer"));
    assert!(!store.change_password(&gone, &hash(), &hash(), None).await.expect("an answer"));
    let unknown = new_token(MailPurpose::PasswordReset, person.email()).hash;
    assert!(store.reset_password(&unknown, &wrong, NOW, false).await.expect("an answer").is_none());
    assert!(!store.delete_account(id, &wrong, NOW).await.expect("an answer"));
    assert!(!store.unblock(id, UserId::generate()).await.expect("an answer"));
    store.touch_session(&key, NOW.plus_millis(100_000)).await.expect("touched");
    person.add(store, &Person::create(store).await).await;
    let rename = ProfileChange { username: Some(new_account().user.username), ..ProfileChange::default() };
    let _updated = store.update_profile(&key, &rename, NOW).await.expect("an answer");
}

async fn what_is_repeated_is_not_told_again(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, pair) = (&*alone.store, Pair::create(&*alone.store).await);
    let ear = Ear::on(store);
    let keyed = message(pair.chat, pair.ann.id(), "hello", Some("key"));
    for _ in 0..3 {
        let _appended = store.append_message(&keyed, None).await.expect("an answer");
        let _marked = store.mark_read(pair.bob.id(), pair.chat, 1).await.expect("an answer");
        pair.bob.block(store, &pair.ann).await;
    }
    assert_eq!(ear.heard(), [progress(&pair, 1, 1, 0), progress(&pair, 1, 0, 1), Change::Access(pair.bob.id())]);
    alone.tear_down().await;
}

async fn of_messages_and_marks_at_once_the_last_state_is_told(context: Arc<Context>) {
    const MESSAGES: usize = 40;
    let alone = context.alone().await;
    let (pair, ears) = (Pair::create(&*alone.store).await, Ears::on(&alone));
    let (ann, bob, chat) = (pair.ann.id(), pair.bob.id(), pair.chat);
    at_once(&alone, MESSAGES, |store, index| async move {
        let sender = if index % 3 == 0 { bob } else { ann };
        let new = message(chat, sender, "hello", None);
        let _stored = patiently(|| store.append_message(&new, None)).await;
        let head = patiently(|| store.find_chat_head(chat)).await.expect("a head");
        let _marked = patiently(|| store.mark_read(bob, chat, head.last_seq)).await;
    })
    .await;
    let page = alone.store.list_conversations(ann, None, 10, NOW).await.expect("a page");
    let state = page.first().map(Conversation::progress).expect("a conversation");
    assert_eq!((state.last_seq, state.read_seqs.contains(&(MESSAGES as u64))), (MESSAGES as u64, true));
    for ear in [&ears.here, &ears.elsewhere] {
        // It is never told more than there is.
        ear.hears("the last state", |ear| ear.progress(chat) == state).await;
    }
    alone.tear_down().await;
}
