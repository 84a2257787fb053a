//! Whose an address is: changes at once and by a link, ways back, and who comes before whom.

use std::sync::Arc;

use chat_functions::domain::{Email, LinkId, MAX_RECOVERY_ADDRESSES, MailKind, MailPurpose, RECOVERY_MILLIS, Timestamp};
use chat_functions::store::{
    AddressMail, Creation, EmailChange, MoveOutcome, MoveProof, NewMailToken, ProfileChange, ProfileUpdate, RecoveryLink, Store,
};

use crate::mail::{take, take_all};
use crate::people::{
    NOW, Person, hash, is_good, louder, may_put, new_account, new_session, new_token, order_and_take, other_hash, put_token, to_email,
};
use crate::{Context, tests};

tests!(Context:
    an_address_at_once_is_unverified_and_voids_the_links_to_the_old_one,
    a_verified_account_moves_only_by_the_link,
    the_present_address_ends_the_wish_and_needs_no_proof,
    nobody_else_is_kept_from_an_address_that_is_only_wished_for,
    a_move_needs_a_session_or_the_password_that_was_checked,
    an_address_that_somebody_has_by_then_is_not_moved_to,
    a_way_back_is_nobody_elses_until_its_time,
    ones_own_way_back_is_no_new_address_and_none_is_displaced,
    every_move_gives_all_ways_back_their_time_again,
    a_way_back_has_one_link_that_only_use_time_and_seniors_end,
    a_repeated_reset_mail_brings_the_way_back_that_its_address_has_become,
    the_oldest_address_wins_whatever_came_later,
    notices_go_to_the_address_and_the_ways_back_as_they_were,
    a_change_is_made_only_while_session_and_password_are_good,
);

/// A person whose address is verified.
pub async fn verified(store: &dyn Store) -> Person {
    let person = Person::create(store).await;
    let token = put_token(store, person.id(), MailPurpose::Verification, person.email()).await;
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(person.id()));
    person
}

async fn change(store: &dyn Store, person: &Person, change: EmailChange, at: Timestamp) -> ProfileUpdate {
    let change = ProfileChange { email: Some(change), ..ProfileChange::default() };
    store.update_profile(&person.key(), &change, at).await.expect("an answer")
}

/// Asks for another address on a server that sends mail.
pub async fn want(store: &dyn Store, person: &Person, email: &Email, at: Timestamp) -> ProfileUpdate {
    change(store, person, EmailChange { address: email.clone(), is_proven: true, by_link: true, mail: AddressMail::ToBoth }, at).await
}

async fn use_link(store: &dyn Store, person: &Person, email: &Email, at: Timestamp) -> MoveOutcome {
    let token = NewMailToken { expires_at: at.plus_millis(1_000), ..new_token(MailPurpose::NewAddress, email) };
    assert!(may_put(store, person.id(), &token).await);
    let proof = MoveProof::Session(person.account.session.hash);
    store.move_address(&token.hash, &proof, LinkId::generate().expect("random bytes"), at, true).await.expect("an answer")
}

/// Moves somebody whose address is verified to another one.
pub async fn move_by_link(store: &dyn Store, person: &Person, email: &Email, at: Timestamp) {
    assert!(matches!(want(store, person, email, at).await, ProfileUpdate::Updated(_)));
    assert_eq!(use_link(store, person, email, at).await, MoveOutcome::Moved);
}

/// A verified person who has moved so often, with the addresses in their order.
pub async fn moved(store: &dyn Store, times: usize) -> (Person, Vec<Email>) {
    let person = verified(store).await;
    let mut addresses = vec![person.email().clone()];
    // Their order is not that of the alphabet.
    for first in ["d", "c", "b"].iter().take(times) {
        addresses.push(Email::parse(&format!("{first}{}", new_account().user.email.as_str())).expect("an address"));
        move_by_link(store, &person, &addresses[addresses.len() - 1], NOW).await;
    }
    (person, addresses)
}

/// Puts the link to a way back out, as a mail to it does.
pub async fn put_way_back(store: &dyn Store, person: &Person, address: &Email) -> NewMailToken {
    let due = order_and_take(store, person.id(), MailKind::PasswordReset, address).await;
    let link = due.recovery.expect("a way back").id;
    let token = NewMailToken { link: Some(link), ..new_token(MailPurpose::Recovery, address) };
    assert!(store.put_mail_token(&due, &token, NOW).await.expect("an answer"));
    store.finish_mail(&due).await.expect("finished");
    token
}

/// Whether a token to a way back may be put out by a mail to it.
async fn may_put_back(store: &dyn Store, person: &Person, token: &NewMailToken) -> bool {
    let due = order_and_take(store, person.id(), MailKind::PasswordReset, &token.address).await;
    let is_put = store.put_mail_token(&due, token, NOW).await.expect("an answer");
    store.finish_mail(&due).await.expect("finished");
    is_put
}

async fn owner(store: &dyn Store, email: &Email, at: Timestamp) -> Option<chat_functions::domain::UserId> {
    store.find_address_owner(&louder(email).key(), at).await.expect("an answer").map(|(owner, _)| owner)
}

async fn an_address_at_once_is_unverified_and_voids_the_links_to_the_old_one(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    for by_link in [true, false] {
        let person = if by_link { Person::create(store).await } else { verified(store).await };
        let new = new_account().user.email;
        let reset = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
        let asked = EmailChange { address: new.clone(), is_proven: true, by_link, mail: AddressMail::ToBoth };
        let ProfileUpdate::Updated(user) = change(store, &person, asked, NOW).await else { panic!("not updated") };
        assert_eq!((&user.email, user.is_email_verified, user.pending_email), (&new, false, None));
        assert!(!is_good(store, &reset).await);
        assert_eq!((owner(store, person.email(), NOW).await, owner(store, &new, NOW).await), (None, Some(person.id())));
        assert_eq!(person.data(store).await.recovery, []);
        let mut mail = take_all(store, NOW).await;
        mail.sort_by_key(|(kind, _)| kind.as_str());
        let told = (MailKind::AddressChanged, person.email().as_str().to_owned());
        assert_eq!(mail, [told, (MailKind::Verification, new.as_str().to_owned())]);
    }
    alone.tear_down().await;
}

async fn a_verified_account_moves_only_by_the_link(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, new) = (verified(store).await, new_account().user.email);
    let ProfileUpdate::Updated(user) = want(store, &person, &new, NOW).await else { panic!("not updated") };
    let pending = user.pending_email.expect("a wish");
    assert_eq!((&user.email, user.is_email_verified, &pending.address), (person.email(), true, &new));
    assert_eq!(pending.until, NOW.plus_millis(Timestamp::DAY_MILLIS));
    assert!(store.find_credentials(&new.key()).await.expect("an answer").is_none());
    assert_eq!(owner(store, &new, NOW).await, None, "no key, and no reset goes there");
    let mut mail = take_all(store, NOW).await;
    mail.sort_by_key(|(kind, _)| kind.as_str());
    let asked = (MailKind::AddressChangeAsked, person.email().as_str().to_owned());
    assert_eq!(mail, [asked, (MailKind::NewAddress, new.as_str().to_owned())]);
    assert_eq!(use_link(store, &person, &new, NOW).await, MoveOutcome::Moved);
    let user = person.profile(store).await;
    assert_eq!((&user.email, user.is_email_verified, user.pending_email), (&new, true, None));
    let data = person.data(store).await;
    assert_eq!((data.recovery, data.recovery_until), (vec![person.email().clone()], Some(NOW.plus_millis(RECOVERY_MILLIS))));
    assert!(store.find_credentials(&person.email().key()).await.expect("an answer").is_none(), "a way back logs nobody in");
    assert!(store.find_credentials(&new.key()).await.expect("an answer").is_some());
    alone.tear_down().await;
}

async fn the_present_address_ends_the_wish_and_needs_no_proof(context: Arc<Context>) {
    let store = &*context.store;
    let (person, new) = (verified(store).await, new_account().user.email);
    assert!(matches!(want(store, &person, &new, NOW).await, ProfileUpdate::Updated(_)));
    let token = put_token(store, person.id(), MailPurpose::NewAddress, &new).await;
    let unproven = |address| EmailChange { address, is_proven: false, by_link: true, mail: AddressMail::None };
    assert_eq!(change(store, &person, unproven(new_account().user.email), NOW).await, ProfileUpdate::Unproven);
    assert!(is_good(store, &token).await);
    let ProfileUpdate::Updated(user) = change(store, &person, unproven(louder(person.email())), NOW).await else { panic!("refused") };
    assert_eq!((&user.email, user.is_email_verified, user.pending_email), (person.email(), true, None));
    assert!(!is_good(store, &token).await);
    // Another wish takes the place of the one before.
    let other = new_account().user.email;
    assert!(matches!(want(store, &person, &new, NOW).await, ProfileUpdate::Updated(_)));
    let token = put_token(store, person.id(), MailPurpose::NewAddress, &new).await;
    assert!(matches!(want(store, &person, &other, NOW).await, ProfileUpdate::Updated(_)));
    assert!(!is_good(store, &token).await);
}

async fn nobody_else_is_kept_from_an_address_that_is_only_wished_for(context: Arc<Context>) {
    let store = &*context.store;
    let (ann, bob, mut third) = (verified(store).await, verified(store).await, new_account());
    for person in [&ann, &bob] {
        assert!(matches!(want(store, person, &third.user.email, NOW).await, ProfileUpdate::Updated(_)));
    }
    third.user.email = louder(&third.user.email);
    assert_eq!(store.create_account(&third).await.expect("an answer"), Creation::Created);
}

async fn a_move_needs_a_session_or_the_password_that_was_checked(context: Arc<Context>) {
    let store = &*context.store;
    let (person, stranger, new) = (verified(store).await, verified(store).await, new_account().user.email);
    assert!(matches!(want(store, &person, &new, NOW).await, ProfileUpdate::Updated(_)));
    let token = put_token(store, person.id(), MailPurpose::NewAddress, &new).await;
    let found = store.find_address_token(&token.hash, NOW).await.expect("an answer").expect("an owner");
    assert!(found.is_move && found.owner.user == person.id() && found.password_hash.expose() == hash().expose());
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), None, "not by the link alone");
    let ended = new_session(NOW).hash;
    for proof in [MoveProof::Session(ended), MoveProof::Session(stranger.account.session.hash), MoveProof::Password(other_hash())] {
        let outcome = store.move_address(&token.hash, &proof, LinkId([1; 16]), NOW, true).await.expect("an answer");
        assert_eq!(outcome, MoveOutcome::Refused);
    }
    assert!(store.change_password(&person.key(), &hash(), &other_hash(), None).await.expect("an answer"));
    let outcome = store.move_address(&token.hash, &MoveProof::Password(other_hash()), LinkId([1; 16]), NOW, true).await;
    assert_eq!(outcome.expect("an answer"), MoveOutcome::Refused, "a change of password ends the wish");
    assert_eq!(person.profile(store).await.email, *person.email());
}

async fn an_address_that_somebody_has_by_then_is_not_moved_to(context: Arc<Context>) {
    let store = &*context.store;
    let (person, mut other) = (verified(store).await, new_account());
    assert!(matches!(want(store, &person, &other.user.email, NOW).await, ProfileUpdate::Updated(_)));
    other.user.email = louder(&other.user.email);
    assert_eq!(store.create_account(&other).await.expect("an answer"), Creation::Created);
    assert_eq!(use_link(store, &person, &other.user.email, NOW).await, MoveOutcome::Taken);
    let user = person.profile(store).await;
    assert_eq!((&user.email, user.is_email_verified, user.pending_email), (person.email(), true, None));
    assert_eq!(person.data(store).await.recovery, []);
}

async fn a_way_back_is_nobody_elses_until_its_time(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, addresses) = moved(store, 1).await;
    let end = NOW.plus_millis(RECOVERY_MILLIS);
    let mut account = new_account();
    (account.user.email, account.user.created_at) = (louder(&addresses[0]), end.plus_millis(-1));
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::EmailTaken);
    let other = Person::create(store).await;
    let to_it = ProfileChange { email: Some(to_email(&addresses[0])), ..ProfileChange::default() };
    assert_eq!(store.update_profile(&other.key(), &to_it, end.plus_millis(-1)).await.expect("an answer"), ProfileUpdate::EmailTaken);
    assert_eq!((owner(store, &addresses[0], end.plus_millis(-1)).await, owner(store, &addresses[0], end).await), (Some(person.id()), None));
    // Compatible servers may refuse the insertion of a value that an update has freed.
    assert!(matches!(store.update_profile(&other.key(), &to_it, end).await, Ok(ProfileUpdate::Updated(_))));
    assert_eq!((owner(store, &addresses[0], end).await, owner(store, &addresses[1], end).await), (Some(other.id()), Some(person.id())));
    alone.tear_down().await;
}

async fn ones_own_way_back_is_no_new_address_and_none_is_displaced(context: Arc<Context>) {
    let store = &*context.store;
    let (person, addresses) = moved(store, MAX_RECOVERY_ADDRESSES).await;
    let before = person.data(store).await;
    assert_eq!(before.recovery, addresses[..MAX_RECOVERY_ADDRESSES]);
    for by_link in [true, false] {
        let back = EmailChange { address: louder(&addresses[1]), is_proven: true, by_link, mail: AddressMail::ToBoth };
        assert_eq!(change(store, &person, back, NOW).await, ProfileUpdate::OwnRecovery);
    }
    assert_eq!(want(store, &person, &new_account().user.email, NOW).await, ProfileUpdate::TooManyChanges);
    // What one's own addresses refuse is told before what others have.
    let taken = Person::create(store).await.account.user.username;
    for (address, refusal) in [(&addresses[1], ProfileUpdate::OwnRecovery), (&new_account().user.email, ProfileUpdate::TooManyChanges)] {
        let email = EmailChange { address: address.clone(), is_proven: true, by_link: true, mail: AddressMail::ToBoth };
        let both = ProfileChange { username: Some(taken.clone()), email: Some(email), ..ProfileChange::default() };
        assert_eq!(store.update_profile(&person.key(), &both, NOW).await.expect("an answer"), refusal);
    }
    assert_eq!(person.data(store).await, before);
    let later = NOW.plus_millis(RECOVERY_MILLIS);
    assert!(matches!(want(store, &person, &new_account().user.email, later).await, ProfileUpdate::Updated(_)));
}

async fn every_move_gives_all_ways_back_their_time_again(context: Arc<Context>) {
    let store = &*context.store;
    let (person, addresses) = moved(store, 1).await;
    let later = NOW.plus_millis(RECOVERY_MILLIS - 2_000);
    let new = new_account().user.email;
    move_by_link(store, &person, &new, later).await;
    let data = person.data(store).await;
    assert_eq!((data.recovery, data.recovery_until), (addresses.clone(), Some(later.plus_millis(RECOVERY_MILLIS))));
    assert_eq!(owner(store, &addresses[0], later.plus_millis(RECOVERY_MILLIS - 1)).await, Some(person.id()));
}

async fn a_way_back_has_one_link_that_only_use_time_and_seniors_end(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (mut person, addresses) = moved(store, 2).await;
    take_all(store, NOW).await;
    let until = NOW.plus_millis(RECOVERY_MILLIS);
    let senior = put_way_back(store, &person, &addresses[0]).await;
    let junior = put_way_back(store, &person, &addresses[1]).await;
    assert_ne!(senior.link, junior.link);
    assert_eq!(put_way_back(store, &person, &addresses[0]).await.link, senior.link, "the same link in every mail");
    assert!(may_put_back(store, &person, &senior).await);
    let at_another = NewMailToken { link: junior.link, ..senior.clone() };
    assert!(!may_put_back(store, &person, &at_another).await);
    // A log-in, a change of password, another link to the address and a wish end neither.
    person.log_in(store, NOW).await;
    assert!(store.change_password(&person.key(), &hash(), &hash(), Some(NOW)).await.expect("an answer"));
    let to_email = put_token(store, person.id(), MailPurpose::PasswordReset, &addresses[2]).await;
    assert!(matches!(want(store, &person, &new_account().user.email, NOW).await, ProfileUpdate::Updated(_)));
    for token in [&senior, &junior] {
        let last = store.find_mail_token(&token.hash, token.purpose, until.plus_millis(-1)).await.expect("an answer");
        assert_eq!(last.map(|owner| owner.user), Some(person.id()));
        assert!(store.find_mail_token(&token.hash, token.purpose, until).await.expect("an answer").is_none());
    }
    assert!(is_good(store, &to_email).await);
    let as_reset = store.find_mail_token(&senior.hash, MailPurpose::PasswordReset, NOW).await.expect("an answer");
    assert!(as_reset.is_some() && store.find_address_token(&senior.hash, NOW).await.expect("an answer").is_none());
    assert_eq!(store.verify_email(&senior.hash, NOW).await.expect("an answer"), None);
    assert_eq!(store.reset_password(&junior.hash, &other_hash(), NOW, false).await.expect("an answer"), Some(person.id()));
    assert!(is_good(store, &senior).await && !is_good(store, &to_email).await && !is_good(store, &junior).await);
    assert_eq!(store.reset_password(&senior.hash, &hash(), NOW, false).await.expect("an answer"), Some(person.id()));
    assert!(!is_good(store, &senior).await);
    assert!(!may_put_back(store, &person, &senior).await, "a used link never comes back");
    // Nor does one whose time was over, when its address is a way back again.
    person.account.session = person.log_in(store, NOW).await;
    move_by_link(store, &person, &new_account().user.email, NOW).await;
    let again = put_way_back(store, &person, &addresses[0]).await;
    assert!(again.link != senior.link && !is_good(store, &senior).await);
    let later = until.plus_millis(1);
    move_by_link(store, &person, &new_account().user.email, later).await;
    assert!(store.find_mail_token(&again.hash, again.purpose, later).await.expect("an answer").is_none());
    alone.tear_down().await;
}

/// Nobody knows whether the mail arrived before the account moved.
async fn a_repeated_reset_mail_brings_the_way_back_that_its_address_has_become(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = verified(store).await;
    take_all(store, NOW).await;
    let due = order_and_take(store, person.id(), MailKind::PasswordReset, person.email()).await;
    let reset = new_token(MailPurpose::PasswordReset, person.email());
    assert!(store.put_mail_token(&due, &reset, NOW).await.expect("an answer"));
    move_by_link(store, &person, &new_account().user.email, NOW).await;
    let later = NOW.plus_millis(2_000_000);
    let (again, link) = loop {
        let mail = take(store, later).await.expect("the mail");
        if let (true, Some(RecoveryLink { id, .. })) = (mail.id == due.id, mail.recovery) {
            break (mail, id);
        }
    };
    let way_back = NewMailToken { link: Some(link), ..new_token(MailPurpose::Recovery, person.email()) };
    assert!(store.put_mail_token(&again, &way_back, later).await.expect("an answer"));
    let last = NOW.plus_millis(RECOVERY_MILLIS - 1);
    assert!(store.find_mail_token(&way_back.hash, way_back.purpose, last).await.expect("an answer").is_some());
    assert!(is_good(store, &reset).await, "the link of the first mail has its own time");
    alone.tear_down().await;
}

async fn the_oldest_address_wins_whatever_came_later(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    for by in 0..4 {
        let (person, addresses) = moved(store, 3).await;
        let mut tokens = Vec::new();
        for address in &addresses[..3] {
            tokens.push(put_way_back(store, &person, address).await);
        }
        tokens.push(put_token(store, person.id(), MailPurpose::PasswordReset, &addresses[3]).await);
        assert_eq!(store.reset_password(&tokens[by].hash, &other_hash(), NOW, true).await.expect("an answer"), Some(person.id()));
        assert!(store.find_session(&person.key()).await.expect("an answer").is_none());
        let user = store.start_session(person.id(), &other_hash(), None, &new_session(NOW)).await.expect("an answer").expect("a person");
        assert_eq!((&user.email, user.is_email_verified), (&addresses[by], true));
        for (place, (address, token)) in addresses.iter().zip(&tokens).enumerate() {
            let is_senior = place < by;
            assert_eq!(is_good(store, token).await, is_senior, "{place} after {by}");
            assert_eq!(owner(store, address, NOW).await.is_some(), place <= by, "{place} after {by}");
        }
    }
    alone.tear_down().await;
}

async fn notices_go_to_the_address_and_the_ways_back_as_they_were(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, addresses) = moved(store, 1).await;
    let told = |kind: MailKind, to: &[&Email]| {
        let mut told: Vec<_> = to.iter().map(|email| (kind, email.as_str().to_owned())).collect();
        told.sort_by(|one, other| one.1.cmp(&other.1));
        told
    };
    let notices = async || {
        let mut all = Vec::new();
        while let Some(mail) = take(store, NOW).await {
            store.finish_mail(&mail).await.expect("finished");
            all.push((mail.kind, mail.address.as_str().to_owned()));
        }
        all.retain(|(kind, _)| kind.purpose().is_none());
        all.sort_by(|one, other| one.1.cmp(&other.1));
        all
    };
    notices().await;
    let (both, new) = ([&addresses[0], &addresses[1]], new_account().user.email);
    assert!(matches!(want(store, &person, &new, NOW).await, ProfileUpdate::Updated(_)));
    assert_eq!(notices().await, told(MailKind::AddressChangeAsked, &both));
    assert!(store.change_password(&person.key(), &hash(), &hash(), Some(NOW)).await.expect("an answer"));
    assert_eq!(notices().await, told(MailKind::PasswordChanged, &both));
    assert!(matches!(want(store, &person, &new, NOW).await, ProfileUpdate::Updated(_)));
    notices().await;
    assert_eq!(use_link(store, &person, &new, NOW).await, MoveOutcome::Moved);
    assert_eq!(notices().await, told(MailKind::AddressChanged, &both), "never to the new one");
    let token = put_way_back(store, &person, &addresses[0]).await;
    assert!(store.reset_password(&token.hash, &other_hash(), NOW, true).await.expect("an answer").is_some());
    assert_eq!(notices().await, told(MailKind::PasswordChanged, &[&addresses[0], &addresses[1], &new]));
    alone.tear_down().await;
}

async fn a_change_is_made_only_while_session_and_password_are_good(context: Arc<Context>) {
    let store = &*context.store;
    let (person, new) = (verified(store).await, new_account().user.email);
    let change = |checked| ProfileChange { email: Some(to_email(&new)), checked, ..ProfileChange::default() };
    let ended = person.key_of(&new_session(NOW));
    assert_eq!(store.update_profile(&ended, &change(None), NOW).await.expect("an answer"), ProfileUpdate::NotFound);
    let update = store.update_profile(&person.key(), &change(Some(other_hash())), NOW).await;
    assert_eq!(update.expect("an answer"), ProfileUpdate::NotFound);
    assert_eq!(person.profile(store).await.email, *person.email());
    assert!(matches!(store.update_profile(&person.key(), &change(Some(hash())), NOW).await, Ok(ProfileUpdate::Updated(_))));
}
