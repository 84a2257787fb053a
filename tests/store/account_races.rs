//! Races about accounts: passwords, tokens, registrations, deletion. Whatever the order, the rules hold.

use std::sync::Arc;

use chat_functions::domain::{LinkId, MailKind, MailPurpose, PasswordHash, Session, UserId};
use chat_functions::store::{
    Creation, MAX_MAIL_PER_ACCOUNT, MoveOutcome, MoveProof, PendingRegistration, ProfileUpdate, RegistrationOutcome, Store,
};

use crate::addresses::{verified, want};
use crate::people::{
    NOW, Person, hash, is_good, may_put, new_account, new_mail, new_registration, new_session, new_token, other_hash, put_token, register,
};
use crate::races::{at_once, count, patiently};
use crate::{Context, tests};

tests!(Context:
    no_login_beside_a_change_of_password_leaves_a_session,
    no_login_beside_a_reset_leaves_a_session,
    of_20_changes_of_one_password_one_succeeds,
    of_30_verifications_by_one_token_one_succeeds,
    of_30_resets_by_one_token_one_succeeds,
    a_move_beside_a_reset_leaves_the_owner_in,
    a_change_beside_the_first_verification_replaces_no_verified_address,
    an_address_is_one_accounts_whoever_comes_at_once,
    of_50_registrations_of_one_name_one_is_noted,
    of_two_registrations_of_one_address_one_becomes_an_account,
    of_a_link_and_a_repetition_at_once_one_counts,
    of_an_account_and_a_registration_of_one_address_one_gets_it,
    no_login_beside_a_deletion_leaves_a_session,
    of_20_deletions_one_succeeds,
    no_more_than_24_mails_wait_however_many_are_ordered,
);

/// How one half of a race went: the change, or a log-in beside it.
enum Half {
    Changed(bool),
    LoggedIn(Session),
}

/// Logs in with the password that people of the tests begin with, and perhaps renews its hash.
async fn log_in(store: &dyn Store, user: UserId, renews: bool) -> Half {
    let (checked, session) = (hash(), new_session(NOW));
    let renewed = renews.then(hash);
    patiently(|| store.start_session(user, &checked, renewed.as_ref(), &session)).await;
    Half::LoggedIn(session)
}

/// Checks that the change took place, and that no log-in has left a session.
async fn assert_no_session_left(context: &Context, person: &Person, halves: &[Half]) {
    for half in halves {
        match half {
            Half::Changed(changed) => assert!(changed),
            Half::LoggedIn(session) => {
                assert!(context.store.find_session(&person.key_of(session)).await.expect("an answer").is_none());
            }
        }
    }
}

async fn no_login_beside_a_change_of_password_leaves_a_session(context: Arc<Context>) {
    for _ in 0..20 {
        let person = Person::create(&*context.store).await;
        let (id, key) = (person.id(), person.key());
        let halves = at_once(&context, 8, |store, index| async move {
            if index != 4 {
                // Half of them renew the hash, which must not undo the change.
                return log_in(&*store, id, index % 2 == 1).await;
            }
            let (checked, new) = (hash(), other_hash());
            Half::Changed(patiently(|| store.change_password(&key, &checked, &new, None)).await)
        })
        .await;
        assert_no_session_left(&context, &person, &halves).await;
        let left = context.store.list_sessions(&key).await.expect("an answer").expect("a session").record;
        assert_eq!(left, std::slice::from_ref(&person.account.session));
        let stored = context.store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
        assert_eq!(stored.password_hash.expose(), other_hash().expose());
    }
}

async fn no_login_beside_a_reset_leaves_a_session(context: Arc<Context>) {
    for _ in 0..20 {
        let person = Person::create(&*context.store).await;
        let token = put_token(&*context.store, person.id(), MailPurpose::PasswordReset, person.email()).await.hash;
        let id = person.id();
        let halves = at_once(&context, 8, |store, index| async move {
            if index != 4 {
                return log_in(&*store, id, index % 2 == 1).await;
            }
            let new = other_hash();
            Half::Changed(patiently(|| store.reset_password(&token, &new, NOW, false)).await.is_some())
        })
        .await;
        assert_no_session_left(&context, &person, &halves).await;
        assert!(context.store.find_session(&person.key()).await.expect("an answer").is_none());
    }
}

async fn of_20_changes_of_one_password_one_succeeds(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let key = person.key();
    let changes = at_once(&context, 20, |store, index| async move {
        let (checked, new) = (hash(), PasswordHash::new(format!("hash {index}")));
        patiently(|| store.change_password(&key, &checked, &new, None)).await.then_some(new)
    })
    .await;
    let won: Vec<_> = changes.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    let stored = context.store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
    assert_eq!(stored.password_hash.expose(), won[0].expose());
}

async fn of_30_verifications_by_one_token_one_succeeds(context: Arc<Context>) {
    for _ in 0..5 {
        let person = Person::create(&*context.store).await;
        let of_account = put_token(&*context.store, person.id(), MailPurpose::NewAddress, person.email()).await;
        let registration = register(&*context.store, &new_account().user.email).await;
        let of_registration = put_token(&*context.store, registration.id, MailPurpose::Verification, &registration.email).await;
        for (token, user) in [(of_account, person.id()), (of_registration, registration.id)] {
            let hash = token.hash;
            let answers = at_once(&context, 30, |store, _| async move { patiently(|| store.verify_email(&hash, NOW)).await }).await;
            assert_eq!((count(&answers, &Some(user)), count(&answers, &None)), (1, 29), "{:?}", token.purpose);
        }
    }
}

async fn of_30_resets_by_one_token_one_succeeds(context: Arc<Context>) {
    for _ in 0..5 {
        let person = Person::create(&*context.store).await;
        let token = put_token(&*context.store, person.id(), MailPurpose::PasswordReset, person.email()).await.hash;
        let answers = at_once(&context, 30, |store, index| async move {
            let new = PasswordHash::new(format!("hash {index}"));
            patiently(|| store.reset_password(&token, &new, NOW, true)).await.map(|_| new)
        })
        .await;
        let won: Vec<_> = answers.iter().flatten().collect();
        assert_eq!(won.len(), 1);
        let stored = context.store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
        assert_eq!(stored.password_hash.expose(), won[0].expose());
    }
}

async fn a_move_beside_a_reset_leaves_the_owner_in(context: Arc<Context>) {
    for _ in 0..20 {
        let store = &*context.store;
        let (person, new) = (verified(store).await, new_account().user.email);
        assert!(matches!(want(store, &person, &new, NOW).await, ProfileUpdate::Updated(_)));
        let of_move = put_token(store, person.id(), MailPurpose::NewAddress, &new).await.hash;
        let of_reset = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await.hash;
        let session = person.account.session.hash;
        let answers = at_once(&context, 2, |store, index| async move {
            if index == 0 {
                let new = other_hash();
                patiently(|| store.reset_password(&of_reset, &new, NOW, false)).await.is_some()
            } else {
                let proof = MoveProof::Session(session);
                patiently(|| store.move_address(&of_move, &proof, LinkId([1; 16]), NOW, false)).await == MoveOutcome::Moved
            }
        })
        .await;
        assert!(answers[0], "the password is set in any case");
        let credentials = store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
        assert_eq!((credentials.user, credentials.password_hash.expose()), (person.id(), other_hash().expose()));
        assert!(store.find_credentials(&new.key()).await.expect("an answer").is_none(), "what came later has ended");
    }
}

async fn a_change_beside_the_first_verification_replaces_no_verified_address(context: Arc<Context>) {
    for _ in 0..20 {
        let (person, new) = (Person::create(&*context.store).await, new_account().user.email);
        let token = put_token(&*context.store, person.id(), MailPurpose::Verification, person.email()).await.hash;
        let (person, new) = (&person, &new);
        let (verified, changed) =
            futures_util::join!(patiently(|| context.store.verify_email(&token, NOW)), want(&*context.other, person, new, NOW));
        let ProfileUpdate::Updated(_) = changed else { panic!("{changed:?}") };
        let user = person.profile(&*context.store).await;
        let is_wanted = user.pending_email.is_some_and(|pending| pending.address == *new);
        let expected = if verified.is_some() { (person.email(), true, true) } else { (new, false, false) };
        assert_eq!((&user.email, user.is_email_verified, is_wanted), expected);
    }
}

async fn an_address_is_one_accounts_whoever_comes_at_once(context: Arc<Context>) {
    for _ in 0..20 {
        let store = &*context.store;
        let (mover, new) = (verified(store).await, new_account().user.email);
        assert!(matches!(want(store, &mover, &new, NOW).await, ProfileUpdate::Updated(_)));
        let token = put_token(store, mover.id(), MailPurpose::NewAddress, &new).await.hash;
        let (session, mut account) = (mover.account.session.hash, new_account());
        account.user.email = new.clone();
        let won = at_once(&context, 2, |store, index| {
            let account = account.clone();
            async move {
                if index == 0 {
                    let proof = MoveProof::Session(session);
                    patiently(|| store.move_address(&token, &proof, LinkId([1; 16]), NOW, false)).await == MoveOutcome::Moved
                } else {
                    patiently(|| store.create_account(&account)).await == Creation::Created
                }
            }
        })
        .await;
        assert_eq!(count(&won, &true), 1, "{won:?}");
        let owner = store.find_address_owner(&new.key(), NOW).await.expect("an answer").expect("an owner").0;
        assert_eq!(owner, if won[0] { mover.id() } else { account.user.id });
    }
}

async fn of_50_registrations_of_one_name_one_is_noted(context: Arc<Context>) {
    let name = new_account().user.username;
    let noted = at_once(&context, 50, |store, _| {
        let mut registration = new_registration(&new_account().user.email);
        registration.username = name.clone();
        async move { matches!(patiently(|| store.create_registration(&registration)).await, RegistrationOutcome::Noted) }
    })
    .await;
    assert_eq!(count(&noted, &true), 1);
}

async fn of_two_registrations_of_one_address_one_becomes_an_account(context: Arc<Context>) {
    for _ in 0..20 {
        let email = new_account().user.email;
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let registration = register(&*context.store, &email).await;
            tokens.push(put_token(&*context.store, registration.id, MailPurpose::Verification, &email).await);
        }
        let hashes = [tokens[0].hash, tokens[1].hash];
        let verified =
            at_once(&context, 2, |store, index| async move { patiently(|| store.verify_email(&hashes[index], NOW)).await }).await;
        let won: Vec<_> = verified.iter().flatten().collect();
        assert_eq!(won.len(), 1, "{verified:?}");
        let credentials = context.store.find_credentials(&email.key()).await.expect("an answer").expect("credentials");
        assert_eq!(credentials.user, *won[0]);
    }
}

async fn of_a_link_and_a_repetition_at_once_one_counts(context: Arc<Context>) {
    for _ in 0..20 {
        let store = &*context.store;
        let registration = register(store, &new_account().user.email).await;
        let link = put_token(store, registration.id, MailPurpose::Verification, &registration.email).await.hash;
        let pending = PendingRegistration { id: registration.id, password_hash: hash(), created_at: NOW };
        let mail = new_mail(MailKind::Verification, &new_account().user.email, NOW);
        let won = at_once(&context, 2, |store, index| {
            let (pending, mail) = (pending.clone(), mail.clone());
            async move {
                if index == 0 {
                    patiently(|| store.verify_email(&link, NOW)).await.is_some()
                } else {
                    patiently(|| store.repeat_registration(&pending, &mail)).await
                }
            }
        })
        .await;
        assert_eq!(count(&won, &true), 1, "{won:?}");
        let by_link = store.find_credentials(&registration.email.key()).await.expect("an answer");
        assert_eq!(by_link.is_some(), won[0]);
        let later = new_token(MailPurpose::Verification, &mail.address);
        assert_eq!(may_put(store, registration.id, &later).await, won[1], "a mail to the other address");
    }
}

async fn of_an_account_and_a_registration_of_one_address_one_gets_it(context: Arc<Context>) {
    for _ in 0..20 {
        let account = new_account();
        let registration = register(&*context.store, &account.user.email).await;
        let token = put_token(&*context.store, registration.id, MailPurpose::Verification, &registration.email).await;
        let (ids, hash) = ([account.user.id, registration.id], token.hash);
        let won = at_once(&context, 2, |store, index| {
            let account = account.clone();
            async move {
                if index == 0 {
                    patiently(|| store.create_account(&account)).await == Creation::Created
                } else {
                    patiently(|| store.verify_email(&hash, NOW)).await.is_some()
                }
            }
        })
        .await;
        assert_eq!(count(&won, &true), 1, "{won:?}");
        let credentials = context.store.find_credentials(&account.user.email.key()).await.expect("an answer").expect("credentials");
        assert_eq!(credentials.user, if won[0] { ids[0] } else { ids[1] });
    }
}

async fn no_login_beside_a_deletion_leaves_a_session(context: Arc<Context>) {
    for _ in 0..20 {
        let person = Person::create(&*context.store).await;
        let id = person.id();
        let halves = at_once(&context, 8, |store, index| async move {
            if index != 4 {
                return log_in(&*store, id, index % 2 == 1).await;
            }
            let checked = hash();
            Half::Changed(patiently(|| store.delete_account(id, &checked, NOW)).await)
        })
        .await;
        assert_no_session_left(&context, &person, &halves).await;
        assert!(context.store.find_session(&person.key()).await.expect("an answer").is_none());
        assert!(context.store.find_credentials(&person.email().key()).await.expect("an answer").is_none());
    }
}

async fn of_20_deletions_one_succeeds(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let token = put_token(&*context.store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    let id = person.id();
    let deleted = at_once(&context, 20, |store, _| async move {
        let checked = hash();
        patiently(|| store.delete_account(id, &checked, NOW)).await
    })
    .await;
    assert_eq!(count(&deleted, &true), 1);
    assert!(!is_good(&*context.store, &token).await);
}

async fn no_more_than_24_mails_wait_however_many_are_ordered(context: Arc<Context>) {
    let alone = context.alone().await;
    let person = Person::create(&*alone.store).await;
    let (id, mail) = (person.id(), new_mail(MailKind::PasswordReset, person.email(), NOW));
    for (is_same, waiting) in [(true, 1), (false, MAX_MAIL_PER_ACCOUNT as u64)] {
        at_once(&alone, 30, |store, _| {
            let mail = if is_same { mail.clone() } else { new_mail(mail.kind, &new_account().user.email, NOW) };
            async move { patiently(|| store.order_mail(id, &mail)).await }
        })
        .await;
        assert_eq!(alone.store.count_mail().await.expect("a number"), waiting);
    }
    alone.tear_down().await;
}
