//! The search for people, by the beginning of a name and by ids.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_functions::domain::{UserId, UsernamePrefix};
use chat_functions::store::{Creation, Person as SeenPerson};

use crate::people::{NOW, Person, account_named, new_registration, note};
use crate::{Context, tests};

tests!(Context:
    names_that_begin_so_are_found_in_their_order,
    a_search_gives_no_more_than_asked_for,
    signs_of_patterns_stand_for_themselves,
    those_who_blocked_the_caller_are_not_found_and_take_no_place,
    registrations_and_deleted_accounts_are_not_found_and_take_no_place,
    a_new_store_has_no_accounts,
    people_are_found_by_their_ids,
    a_person_found_is_told_as_they_relate_to_the_caller,
);

/// A beginning that no other test's names have.
fn new_beginning() -> String {
    format!("s{}", &UserId::generate().to_string()[20..])
}

async fn named(context: &Context, name: &str) -> Person {
    let person = Person { account: account_named(name, &format!("{}@example.com", UserId::generate())) };
    assert_eq!(context.store.create_account(&person.account).await.expect("an answer"), Creation::Created);
    person
}

async fn search(context: &Context, caller: &Person, beginning: &str, limit: usize) -> Vec<String> {
    let prefix = UsernamePrefix::parse(beginning).expect("a prefix");
    let people = context.store.search_people(caller.id(), &prefix, limit, NOW).await.expect("people");
    people.iter().map(|person| person.username.as_str().to_owned()).collect()
}

async fn names_that_begin_so_are_found_in_their_order(context: Arc<Context>) {
    let (caller, begin) = (Person::create(&*context.store).await, new_beginning());
    let names = ["-z", "", "Bob", "ann", "_x", "Carl", ".a", "0"].map(|end| format!("{begin}{end}"));
    for name in &names {
        named(&context, name).await;
    }
    // What is just outside: a shorter name, and one that differs in its last letter.
    named(&context, &begin[..begin.len() - 1]).await;
    named(&context, &format!("{}g", &begin[..begin.len() - 1])).await;
    let mut expected = names.to_vec();
    expected.sort_by_key(|name| name.to_ascii_lowercase());
    assert_eq!(search(&context, &caller, &begin, 20).await, expected);
    assert_eq!(search(&context, &caller, &begin.to_ascii_uppercase(), 20).await, expected, "without regard to case");
    assert_eq!(search(&context, &caller, &format!("{begin}b"), 20).await, [format!("{begin}Bob")]);
    assert!(search(&context, &caller, &format!("{begin}bobb"), 20).await.is_empty());
}

async fn a_search_gives_no_more_than_asked_for(context: Arc<Context>) {
    let (caller, begin) = (Person::create(&*context.store).await, new_beginning());
    for end in ["c", "a", "b"] {
        named(&context, &format!("{begin}{end}")).await;
    }
    assert_eq!(search(&context, &caller, &begin, 2).await, [format!("{begin}a"), format!("{begin}b")], "the first of them");
    assert_eq!(search(&context, &caller, &begin, 3).await.len(), 3);
}

async fn signs_of_patterns_stand_for_themselves(context: Arc<Context>) {
    let (caller, begin) = (Person::create(&*context.store).await, new_beginning());
    named(&context, &format!("{begin}abc")).await;
    named(&context, &format!("{begin}_bc")).await;
    assert_eq!(search(&context, &caller, &format!("{begin}_"), 20).await, [format!("{begin}_bc")]);
    for sign in ["%", ".*", "*", "[a-z]", "^", "$", "\\", "'", "\"", "\u{0}", "\u{7f}", "ä", "\u{10ffff}"] {
        assert!(search(&context, &caller, &format!("{begin}{sign}"), 20).await.is_empty(), "{sign}");
        assert!(!search(&context, &caller, &format!("{sign}{begin}"), 20).await.contains(&format!("{begin}abc")), "{sign}");
    }
}

async fn those_who_blocked_the_caller_are_not_found_and_take_no_place(context: Arc<Context>) {
    let (caller, begin) = (Person::create(&*context.store).await, new_beginning());
    let blocker = named(&context, &format!("{begin}a")).await;
    let shunned = named(&context, &format!("{begin}b")).await;
    blocker.block(&*context.store, &caller).await;
    caller.block(&*context.store, &shunned).await;
    assert_eq!(search(&context, &caller, &begin, 1).await, [format!("{begin}b")], "those whom the caller blocked are");
    assert_eq!(search(&context, &shunned, &begin, 20).await.len(), 2, "others find them");
    let ids = [blocker.id(), shunned.id()];
    let people = context.store.find_people(caller.id(), &ids, NOW).await.expect("people");
    assert_eq!(people.iter().map(|person| person.id).collect::<Vec<_>>(), [shunned.id()]);
}

async fn registrations_and_deleted_accounts_are_not_found_and_take_no_place(context: Arc<Context>) {
    let (caller, begin) = (Person::create(&*context.store).await, new_beginning());
    let mut registration = new_registration(caller.email());
    registration.username = account_named(&format!("{begin}a"), caller.email().as_str()).user.username;
    assert!(note(&*context.store, &registration).await);
    let deleted = named(&context, &format!("{begin}b")).await;
    deleted.delete(&*context.store).await;
    let person = named(&context, &format!("{begin}c")).await;
    assert_eq!(search(&context, &caller, &begin, 1).await, [format!("{begin}c")]);
    let ids = [registration.id, deleted.id(), person.id()];
    let people = context.store.find_people(caller.id(), &ids, NOW).await.expect("people");
    assert_eq!(people.iter().map(|person| person.id).collect::<Vec<_>>(), [person.id()]);
}

/// By each beginning that a name can have.
async fn a_new_store_has_no_accounts(context: Arc<Context>) {
    let alone = context.alone().await;
    let named_so = async |beginning: &str| {
        let prefix = UsernamePrefix::parse(beginning).expect("a prefix");
        let people = alone.store.search_people(UserId::generate(), &prefix, 20, NOW).await.expect("people");
        people.into_iter().map(|person| person.username.as_str().to_owned()).collect::<Vec<_>>()
    };
    let (letters, all) = ("abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz0123456789._-");
    for (first, second) in letters.chars().flat_map(|first| all.chars().map(move |second| (first, second))) {
        assert_eq!(named_so(&format!("{first}{second}")).await, Vec::<String>::new());
    }
    let person = Person::create(&*alone.store).await;
    let name = person.account.user.username.as_str();
    assert_eq!(named_so(&name[..2]).await, [name]);
    alone.tear_down().await;
}

async fn people_are_found_by_their_ids(context: Arc<Context>) {
    let (store, caller) = (&*context.store, Person::create(&*context.store).await);
    let mut ids = vec![caller.id()];
    for _ in 0..5 {
        ids.push(Person::create(store).await.id());
    }
    let mut asked: Vec<_> = (0..94).map(|_| UserId::generate()).collect();
    asked.extend(&ids);
    asked.push(ids[1]);
    let found = store.find_people(caller.id(), &asked, NOW).await.expect("people");
    assert_eq!(found.len(), ids.len(), "each once, also who is asked for twice");
    assert_eq!(found.iter().map(|person| person.id).collect::<BTreeSet<_>>(), ids.into_iter().collect());
    assert!(store.find_people(caller.id(), &[], NOW).await.expect("people").is_empty());
}

async fn a_person_found_is_told_as_they_relate_to_the_caller(context: Arc<Context>) {
    let (store, caller, begin) = (&*context.store, Person::create(&*context.store).await, new_beginning());
    let friend = named(&context, &format!("{begin}a")).await;
    let stranger = named(&context, &format!("{begin}b")).await;
    friend.add(store, &caller).await;
    caller.add(store, &stranger).await;
    assert!(store.end_session(&stranger.key(), NOW.plus_millis(9)).await.expect("an answer"));
    let expected = [
        SeenPerson {
            id: friend.id(),
            username: friend.account.user.username.clone(),
            has_added_caller: true,
            last_active: Some(NOW),
            last_seen: Some(NOW),
        },
        SeenPerson {
            id: stranger.id(),
            username: stranger.account.user.username.clone(),
            has_added_caller: false,
            last_active: None,
            last_seen: Some(NOW.plus_millis(9)),
        },
    ];
    let prefix = UsernamePrefix::parse(&begin).expect("a prefix");
    assert_eq!(store.search_people(caller.id(), &prefix, 20, NOW).await.expect("people"), expected);
    let mut by_id = store.find_people(caller.id(), &[stranger.id(), friend.id()], NOW).await.expect("people");
    by_id.sort_by_key(|person| person.username.as_str().to_owned());
    assert_eq!(by_id, expected);
}
