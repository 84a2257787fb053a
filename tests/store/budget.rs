//! How many operations each method takes.

use std::sync::Arc;

use chat_functions::domain::{ChatId, LinkId, MailKind, MailPurpose, UserId, UsernamePrefix};
use chat_functions::store::{
    BlockAddition, FriendAddition, Link, MAX_FRIENDS, MoveProof, PendingRegistration, ProfileChange, Quota, Registration, Store,
    StoreError, Window,
};

use crate::addresses::{put_way_back, verified, want};
use crate::people::{
    NOW, Pair, Person, hash, message, new_account, new_mail, new_registration, new_session, new_token, other_hash, put_token, send,
};
use crate::throttles::new_key;
use crate::{Context, tests};

tests!(Context:
    each_method_keeps_its_number_of_operations,
    each_method_about_passwords_and_registrations_keeps_its_number_of_operations,
    a_list_of_conversations_takes_as_many_operations_however_long_it_is,
    a_move_by_a_link_keeps_its_number_of_operations,
    each_method_about_other_people_keeps_its_number_of_operations,
    each_method_about_mail_and_counters_keeps_its_number_of_operations,
);

async fn each_method_keeps_its_number_of_operations(context: Arc<Context>) {
    let store = context.quiet_store().await;
    let (pair, carl) = (Pair::create(&*store).await, Person::create(&*store).await);
    send(&*store, &pair.message(&pair.bob, "hello")).await;
    let (ann, key) = (pair.ann.id(), pair.ann.key());
    let head = store.find_chat_head(pair.chat).await.expect("an answer");
    let rename = ProfileChange { username: Some(new_account().user.username), ..ProfileChange::default() };
    let keyed = message(pair.chat, ann, "keyed", Some("key"));

    let mut meter = Meter::start(&store);
    meter.spent("create_account", 1, store.create_account(&new_account()).await);
    meter.spent("find_credentials", 1, store.find_credentials(&pair.ann.account.user.email.key()).await);
    meter.spent("start_session", 1, store.start_session(ann, &hash(), None, &new_session(NOW)).await);
    meter.spent("find_session", 1, store.find_session(&key).await);
    meter.spent("touch_session", 1, store.touch_session(&key, NOW.plus_millis(100_000)).await);
    meter.spent("find_profile", 1, store.find_profile(&key).await);
    meter.spent("find_peer", 1, store.find_peer(&key, carl.id()).await);
    meter.spent("update_profile", 1, store.update_profile(&key, &rename, NOW).await);
    meter.spent("add_friend", 1, store.add_friend(ann, UserId::generate(), NOW).await);
    meter.spent("remove_friend", 1, store.remove_friend(ann, carl.id()).await);
    meter.spent("list_chat_ids", 1, store.list_chat_ids(ann, 1_000).await);
    meter.spent("find_chat_head", 1, store.find_chat_head(pair.chat).await);
    meter.spent("append_message", 2, store.append_message(&keyed, head).await);
    meter.spent(
        "append_message, repeated, and find_chat_head",
        3,
        store.append_message(&keyed, store.find_chat_head(pair.chat).await.expect("an answer")).await,
    );
    meter.spent("list_chat_messages", 1, store.list_chat_messages(pair.chat, Window::Newest, 100).await);
    meter.spent("list_messages", 2, store.list_messages(ann, None, 100).await);
    meter.spent("mark_read", 1, store.mark_read(ann, pair.chat, 1).await);
    meter.spent("mark_read, again", 1, store.mark_read(ann, pair.chat, 1).await);
    meter.spent("end_session", 1, store.end_session(&key, NOW).await);
    store.check().await.expect("an answer");
    assert_eq!(store.operations(), meter.before, "the upkeep is not counted");
}

async fn each_method_about_passwords_and_registrations_keeps_its_number_of_operations(context: Arc<Context>) {
    let store = context.quiet_store().await;
    let (ann, bob) = (Person::create(&*store).await, Person::create(&*store).await);
    let (key, email) = (ann.key(), ann.email());
    let verification = put_token(&*store, ann.id(), MailPurpose::Verification, email).await;
    let reset = put_token(&*store, bob.id(), MailPurpose::PasswordReset, bob.email()).await;
    let of_free_address = new_registration(&new_account().user.email);
    let of_taken_address = new_registration(email);

    let mut meter = Meter::start(&store);
    meter.spent("create_registration", 1, store.create_registration(&of_free_address).await);
    meter.spent("create_registration, of a taken address", 1, store.create_registration(&of_taken_address).await);
    let pending = PendingRegistration { id: of_free_address.id, password_hash: hash(), created_at: NOW };
    let again = Registration { username: of_free_address.username.clone(), ..new_registration(email) };
    meter.spent("create_registration, under a name that another waits with", 2, store.create_registration(&again).await);
    for address in [email, &of_free_address.email] {
        let mail = new_mail(MailKind::Verification, address, NOW);
        meter.spent("repeat_registration", 1, store.repeat_registration(&pending, &mail).await);
    }
    let activation = put_token(&*store, of_free_address.id, MailPurpose::Verification, &of_free_address.email).await;
    meter.skip();
    meter.spent("find_mail_token", 1, store.find_mail_token(&verification.hash, verification.purpose, NOW).await);
    meter.spent("find_address_token", 1, store.find_address_token(&verification.hash, NOW).await);
    meter.spent("verify_email", 2, store.verify_email(&verification.hash, NOW).await);
    meter.spent("verify_email, of a registration", 3, store.verify_email(&activation.hash, NOW).await);
    meter.spent("list_sessions", 1, store.list_sessions(&key).await);
    meter.spent("end_other_sessions", 1, store.end_other_sessions(&key).await);
    meter.spent("find_own_credentials", 1, store.find_own_credentials(&key).await);
    meter.spent("change_password", 1, store.change_password(&key, &hash(), &other_hash(), Some(NOW)).await);
    meter.spent("find_address_owner", 1, store.find_address_owner(&email.key(), NOW).await);
    meter.spent("reset_password", 2, store.reset_password(&reset.hash, &other_hash(), NOW, true).await);
    meter.spent("delete_account", 2, store.delete_account(ann.id(), &other_hash(), NOW).await);
}

async fn a_list_of_conversations_takes_as_many_operations_however_long_it_is(context: Arc<Context>) {
    let store = context.quiet_store().await;
    let ann = Person::create(&*store).await;
    for _ in 0..30 {
        let chat = ChatId::between(ann.id(), Person::create(&*store).await.id()).expect("two people");
        send(&*store, &message(chat, ann.id(), "hello", None)).await;
    }
    let mut meter = Meter::start(&store);
    for limit in [1, 10, 100] {
        meter.spent("list_conversations", 2, store.list_conversations(ann.id(), None, limit, NOW).await);
    }
}

async fn a_move_by_a_link_keeps_its_number_of_operations(context: Arc<Context>) {
    let store = context.quiet_store().await;
    let (person, new) = (verified(&*store).await, new_account().user.email);
    let mut meter = Meter::start(&store);
    meter.spent("update_profile, with an address", 2, Ok(want(&*store, &person, &new, NOW).await));
    let token = put_token(&*store, person.id(), MailPurpose::NewAddress, &new).await;
    let proof = MoveProof::Session(person.account.session.hash);
    meter.skip();
    meter.spent("move_address", 2, store.move_address(&token.hash, &proof, LinkId([1; 16]), NOW, true).await);
    let of_way_back = put_way_back(&*store, &person, person.email()).await;
    meter.skip();
    meter.spent("find_mail_token, of a way back", 1, store.find_mail_token(&of_way_back.hash, of_way_back.purpose, NOW).await);
    meter.spent("reset_password, by a way back", 2, store.reset_password(&of_way_back.hash, &other_hash(), NOW, true).await);
}

async fn each_method_about_other_people_keeps_its_number_of_operations(context: Arc<Context>) {
    let store = context.quiet_store().await;
    let ann = Person::create(&*store).await;
    let (id, key) = (ann.id(), ann.key());
    fill_lists(&store, &ann).await;
    let blocked = UserId::generate();
    let prefix = UsernamePrefix::parse("person").expect("a prefix");
    let ids: Vec<UserId> = (0..100).map(|_| UserId::generate()).collect();

    let mut meter = Meter::start(&store);
    meter.spent("list_friends", 2, store.list_friends(&key, NOW).await);
    meter.spent("list_blocks", 2, store.list_blocks(&key, NOW).await);
    meter.spent("search_people", 1, store.search_people(id, &prefix, 20, NOW).await);
    meter.spent("find_people", 1, store.find_people(id, &ids, NOW).await);
    meter.spent("find_account_data", 1, store.find_account_data(&key).await);
    meter.spent("block", 2, store.block(id, blocked, NOW).await);
    meter.spent("unblock", 1, store.unblock(id, blocked).await);
}

/// Gives somebody as many friends as there may be, and half as many blocks; some of both exist.
async fn fill_lists(store: &Arc<dyn Store>, person: &Person) {
    for _ in 0..10 {
        let (friend, blocked) = (Person::create(&**store).await, Person::create(&**store).await);
        person.add(&**store, &friend).await;
        person.block(&**store, &blocked).await;
    }
    for _ in 10..MAX_FRIENDS / 10 {
        let added = futures_util::future::join_all((0..10).map(|_| store.add_friend(person.id(), UserId::generate(), NOW))).await;
        assert!(added.into_iter().all(|added| added.is_ok_and(|added| added == FriendAddition::Added)));
        let blocked = futures_util::future::join_all((0..5).map(|_| store.block(person.id(), UserId::generate(), NOW))).await;
        assert!(blocked.into_iter().all(|blocked| blocked.is_ok_and(|blocked| blocked == BlockAddition::Blocked)));
    }
}

async fn each_method_about_mail_and_counters_keeps_its_number_of_operations(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, key) = (Arc::clone(&alone.store), new_key());
    let person = Person::create(&*store).await;
    let mail = new_mail(MailKind::PasswordReset, person.email(), NOW);
    let token = new_token(MailPurpose::PasswordReset, person.email());
    let quota = Quota { count: 1, window_millis: 60_000 };

    let mut meter = Meter::start(&store);
    meter.spent("order_mail", 1, store.order_mail(person.id(), &mail).await);
    let due = store.take_due_mail(NOW, NOW.plus_millis(1)).await.expect("an answer").expect("a mail");
    meter.spent("take_due_mail", 1, Ok(()));
    meter.spent("take_due_mail, when none is due", 2, store.take_due_mail(NOW, NOW).await);
    meter.spent("postpone_mail", 1, store.postpone_mail(&due, NOW, Link::Stays).await);
    meter.spent("put_mail_token", 1, store.put_mail_token(&due, &token, NOW).await);
    meter.spent("finish_mail", 1, store.finish_mail(&due.begun_with(token.hash)).await);
    meter.spent("count_mail", 1, store.count_mail().await);
    let counted = store.take(&key, quota, NOW).await.expect("an answer").outcome.expect("room");
    meter.spent("take", 1, Ok(()));
    meter.spent("take, when nothing is counted", 2, store.take(&key, quota, NOW).await);
    meter.spent("give_back", 1, store.give_back(&counted, Some(NOW)).await);
    drop(meter);
    drop(store);
    alone.tear_down().await;
}

/// Counts from one reading to the next.
struct Meter {
    store: Arc<dyn Store>,
    before: u64,
}

impl Meter {
    fn start(store: &Arc<dyn Store>) -> Self {
        Self { store: Arc::clone(store), before: store.operations() }
    }

    /// Leaves out what was spent since the last reading.
    fn skip(&mut self) {
        self.before = self.store.operations();
    }

    /// Checks what an operation took; none at all would mean that the counter stands still.
    #[track_caller]
    fn spent<T>(&mut self, what: &str, most: u64, answer: Result<T, StoreError>) {
        let _answered = answer.expect("an answer");
        let spent = self.store.operations() - self.before;
        self.before += spent;
        assert!((1..=most).contains(&spent), "{what}: {spent} operations, at most {most} expected");
    }
}
