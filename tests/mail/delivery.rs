//! From the order to the letter, and what becomes of mail that does not leave.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::{Email, MailKind, MailToken, Session, SessionId, SessionKey};
use chat_functions::mail;
use chat_functions::store::{AddressMail, DueMail, EmailChange, Link, ProfileChange, ProfileUpdate};

use crate::setup::{BASE_URL, DAY, MINUTE, SENDER, Setup, password_hash};
use crate::support::smtp::{Condition, PATIENCE, ReceivedMail, SILENCE};
use crate::{Context, log, tests};

tests!(Context:
    an_account_gets_the_link_that_verifies_its_address,
    a_registration_gets_the_link_that_makes_it_an_account,
    each_kind_of_mail_arrives,
    a_link_is_good_for_as_long_as_its_letter_says,
    the_owner_of_a_taken_address_is_told_once_a_day,
    a_recipient_that_is_refused_holds_up_nobody,
    a_recipient_that_is_put_off_is_tried_again,
    what_is_wrong_with_the_sender_drops_no_mail,
    a_server_that_refuses_three_domains_alike_is_to_blame_until_it_takes_mail,
    mails_that_get_no_answer_hold_up_nobody,
    at_most_16_mails_wait_for_a_slow_server_beside_the_lanes,
    a_mail_is_tried_30_times_in_a_day_at_most,
    a_note_that_did_not_leave_is_tried_again,
    mail_that_has_lost_its_reason_is_not_sent,
    mail_older_than_a_day_is_not_sent,
    mail_that_another_process_ordered_is_found,
);

fn token(mail: &ReceivedMail) -> MailToken {
    MailToken::parse(&mail.token().expect("a token")).expect("a token in its one spelling")
}

async fn mail_to(setup: &Setup, address: &Email) -> ReceivedMail {
    setup.server.wait_for(|mail| mail.is_to(address.as_str()), PATIENCE).await
}

async fn an_account_gets_the_link_that_verifies_its_address(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (mailer, worker) = setup.start();
    let user = setup.account(|email| mailer.order(MailKind::Verification, email, setup.clock.now())).await;
    mailer.notify();
    let mail = mail_to(&setup, &user.email).await;
    assert_eq!((mail.header("From").as_str(), mail.from.as_str()), (format!("Chat <{SENDER}>").as_str(), SENDER));
    assert_eq!(mail.header("To"), user.email.as_str());
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.header("Message-ID").ends_with("@chat.example.com>"));
    assert_eq!(mail.subject(), "Confirm your address for chat.example.com");
    let token = token(&mail);
    let link = format!("{BASE_URL}/api/auth/email#token={}", token.expose());
    assert!(mail.text().contains(&format!("Hello {},", user.username.as_str())) && mail.text().contains(&link), "{}", mail.text());
    assert!(mail.html().contains(&format!("href=\"{link}\"")), "{}", mail.html());
    assert_eq!(setup.store.verify_email(&token.hash(), setup.clock.now()).await.expect("an answer"), Some(user.id));
    setup.wait_until_empty().await;
    worker.stop().await;
    assert_eq!(setup.server.mails().len(), 1);
    setup.tear_down().await;
}

async fn a_registration_gets_the_link_that_makes_it_an_account(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (_mailer, worker) = setup.start();
    let address = Email::parse("free@mail.example.org").expect("an address");
    let id = setup.registration(&address).await;
    let token = token(&mail_to(&setup, &address).await);
    assert_eq!(setup.store.verify_email(&token.hash(), setup.clock.now()).await.expect("an answer"), Some(id));
    worker.stop().await;
    setup.tear_down().await;
}

async fn each_kind_of_mail_arrives(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (mailer, worker) = setup.start();
    let kinds = [
        (MailKind::NewAddress, "Confirm your new address for chat.example.com", true),
        (MailKind::AddressChanged, "Your address at chat.example.com was changed", false),
        (MailKind::PasswordReset, "A new password for chat.example.com", true),
        (MailKind::PasswordChanged, "Your password at chat.example.com was changed", false),
    ];
    for (kind, subject, has_token) in kinds {
        let user = setup.account(|_email| None).await;
        setup.order(&user, kind).await;
        mailer.notify();
        let mail = mail_to(&setup, &user.email).await;
        assert_eq!((mail.subject().as_str(), mail.token().is_some()), (subject, has_token));
    }
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_link_is_good_for_as_long_as_its_letter_says(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (mailer, worker) = setup.start();
    for purpose in MailKind::ALL.into_iter().filter_map(MailKind::purpose) {
        let user = setup.account(|_email| None).await;
        let kind = MailKind::parse(purpose.as_str()).expect("the kind of that purpose");
        let before = setup.clock.now();
        setup.order(&user, kind).await;
        mailer.notify();
        let hash = token(&mail_to(&setup, &user.email).await).hash();
        let ends = [(before, true), (setup.clock.now().plus_millis(1), false)];
        for (sent, is_good) in ends {
            let at = sent.plus_millis(purpose.lifetime_millis() - 1);
            let found = setup.store.find_mail_token(&hash, purpose, at).await.expect("an answer");
            assert_eq!(found.map(|owner| owner.user), is_good.then_some(user.id), "{purpose:?}");
        }
    }
    worker.stop().await;
    setup.tear_down().await;
}

async fn the_owner_of_a_taken_address_is_told_once_a_day(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let owner = setup.account(|_email| None).await;
    let (mailer, worker) = setup.start();
    let louder = Email::parse(&owner.email.as_str().to_ascii_uppercase()).expect("an address");
    for address in [&louder, &owner.email, &louder] {
        setup.registration(address).await;
        mailer.notify();
        setup.wait_until_empty().await;
        assert_eq!(setup.server.mails().len(), 1);
    }
    let note = mail_to(&setup, &owner.email).await;
    assert_eq!((note.subject().as_str(), note.token()), ("You have an account at chat.example.com", None));
    assert!(!note.text().contains("person"), "a name that a stranger chose: {}", note.text());
    setup.clock.advance_millis(DAY);
    setup.registration(&owner.email).await;
    setup.wait_until_empty().await;
    assert_eq!(setup.server.mails().len(), 2);
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_recipient_that_is_refused_holds_up_nobody(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let refused = setup.ordering_account().await;
    setup.server.refuse(refused.email.as_str(), &format!("550 5.1.1 <{}> is nobody here", refused.email.as_str()));
    let others = [setup.ordering_account().await, setup.ordering_account().await];
    let (_mailer, worker) = setup.start();
    for other in &others {
        mail_to(&setup, &other.email).await;
    }
    setup.wait_until_empty().await;
    setup.server.take(refused.email.as_str());
    setup.pass(6 * MINUTE).await;
    assert_eq!(setup.server.mails().len(), 2, "it is not tried again");
    let told = format!("the mail server answered 550 5.1.1 event=mail_dropped kind=verification user={}", refused.id);
    assert!(log::lines().iter().any(|line| line.ends_with(&told)), "{:?}", log::lines());
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_recipient_that_is_put_off_is_tried_again(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let slow = setup.ordering_account().await;
    setup.server.refuse(slow.email.as_str(), &format!("450 4.2.0 <{}> sleeps", slow.email.as_str()));
    let other = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    mail_to(&setup, &other.email).await;
    let refusals = || setup.server.commands().iter().filter(|command| command.verb == "RCPT").count() - setup.server.mails().len();
    for attempt in 2..=4 {
        setup.pass_until(|| refusals() >= attempt).await;
    }
    setup.server.take(slow.email.as_str());
    setup.pass_until(|| setup.server.mails().len() >= 2).await;
    assert!(mail_to(&setup, &slow.email).await.token().is_some());
    setup.wait_until_empty().await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn what_is_wrong_with_the_sender_drops_no_mail(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let replies = [
        "554 5.7.1 Relay access denied",
        "550 relay not permitted",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    ];
    let mut users = Vec::new();
    for reply in replies {
        let user = setup.ordering_account().await;
        setup.server.refuse(user.email.as_str(), reply);
        users.push(user);
    }
    let (_mailer, worker) = setup.start();
    setup.server.wait_for_command("RCPT", 1).await;
    for user in &users {
        setup.server.take(user.email.as_str());
    }
    setup.pass_until(|| setup.server.mails().len() == users.len()).await;
    setup.wait_until_empty().await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_server_that_refuses_three_domains_alike_is_to_blame_until_it_takes_mail(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let addresses = ["one", "two", "three"].map(|domain| format!("ann@{domain}.example"));
    for address in &addresses {
        setup.server.refuse(address, "554 5.7.1 Relay access denied");
        setup.registration(&Email::parse(address).expect("an address")).await;
    }
    let (mailer, worker) = setup.start();
    setup.pass_until(|| mailer.is_server_to_blame()).await;
    wait_for_mark(&setup, true).await;
    let told = setup.checked_mail().await;
    assert!(told.is_none_or(|told| told.starts_with("to do   mail: the mail server has refused mail to three domains")));
    for address in &addresses {
        setup.server.take(address);
    }
    setup.pass_until(|| !mailer.is_server_to_blame()).await;
    wait_for_mark(&setup, false).await;
    assert!(setup.checked_mail().await.is_none_or(|told| told.starts_with("ok      mail: ")));
    worker.stop().await;
    setup.tear_down().await;
}

/// Waits until the store has the mark that the mail server is to blame, or has it no more.
async fn wait_for_mark(setup: &Setup, is_there: bool) {
    let begun = Instant::now();
    while mail::is_server_to_blame(&*setup.other, setup.clock.now()).await.expect("an answer") != is_there {
        assert!(begun.elapsed() < PATIENCE, "it is not so yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn mails_that_get_no_answer_hold_up_nobody(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    for _ in 0..6 {
        let slow = setup.ordering_account().await;
        setup.server.refuse(slow.email.as_str(), SILENCE);
    }
    let other = setup.ordering_account().await;
    let transport = setup.smtp(|smtp| smtp.patience.worker = Duration::from_millis(100));
    let (_mailer, worker) = setup.start_with(&transport, &setup.store);
    mail_to(&setup, &other.email).await;
    setup.wait_until_left(6).await;
    drop(worker);
    setup.tear_down().await;
}

async fn at_most_16_mails_wait_for_a_slow_server_beside_the_lanes(context: Arc<Context>) {
    const MOST: usize = 4 + 16;
    const PACE: Duration = Duration::from_millis(20);
    let setup = Setup::new(&context).await;
    let mut slow = Vec::new();
    for _ in 0..30 {
        let user = setup.ordering_account().await;
        setup.server.refuse(user.email.as_str(), SILENCE);
        slow.push(user);
    }
    let transport = setup.smtp(|smtp| smtp.patience.worker = PACE);
    let (_mailer, worker) = setup.start_with(&transport, &setup.store);
    setup.server.wait_for_command("RCPT", MOST - 1).await;
    // For many times as long as a lane has patience with each.
    for _ in 0..30 {
        tokio::time::sleep(PACE).await;
        assert_eq!(setup.server.connections(), MOST);
    }
    // Their connections end, and the others have their turn.
    for user in &slow {
        setup.server.take(user.email.as_str());
    }
    setup.server.set(Condition::HangsUp).await;
    setup.server.wait_until_idle().await;
    setup.server.set(Condition::Up).await;
    setup.pass_until(|| setup.server.mails().len() == slow.len()).await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_mail_is_tried_30_times_in_a_day_at_most(context: Arc<Context>) {
    for (attempts, arrives) in [(29, true), (30, false)] {
        let setup = Setup::new(&context).await;
        let _user = setup.ordering_account().await;
        let now = setup.clock.now();
        let mail = setup.store.take_due_mail(now, now.plus_millis(MINUTE)).await.expect("an answer").expect("a mail");
        let tried = DueMail { attempts, ..mail };
        setup.store.postpone_mail(&tried, now, Link::Stays).await.expect("postponed");
        let (_mailer, worker) = setup.start();
        setup.wait_until_empty().await;
        worker.stop().await;
        assert_eq!(setup.server.mails().len(), usize::from(arrives));
        setup.tear_down().await;
    }
}

async fn a_note_that_did_not_leave_is_tried_again(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let owner = setup.account(|_email| None).await;
    setup.server.refuse(owner.email.as_str(), "450 4.2.0 come again");
    setup.registration(&owner.email).await;
    let (_mailer, worker) = setup.start();
    setup.server.wait_for_command("RCPT", 0).await;
    setup.server.take(owner.email.as_str());
    setup.pass_until(|| setup.server.mails().len() == 1).await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn mail_that_has_lost_its_reason_is_not_sent(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let user = setup.ordering_account().await;
    let address = Email::parse("elsewhere@mail.example.org").expect("an address");
    let email = EmailChange { address, is_proven: true, by_link: false, mail: AddressMail::None };
    let change = ProfileChange { email: Some(email), ..ProfileChange::default() };
    let session = Session::begin(&SessionId::generate().expect("random bytes"), setup.clock.now(), None);
    setup.store.start_session(user.id, &password_hash(), None, &session).await.expect("an answer").expect("a person");
    let key = SessionKey { user: user.id, session: session.hash };
    let changed = setup.store.update_profile(&key, &change, setup.clock.now()).await.expect("an answer");
    assert!(matches!(changed, ProfileUpdate::Updated(_)));
    let (_mailer, worker) = setup.start();
    setup.wait_until_empty().await;
    worker.stop().await;
    assert!(setup.server.mails().is_empty());
    setup.tear_down().await;
}

async fn mail_older_than_a_day_is_not_sent(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let _late = setup.ordering_account().await;
    setup.clock.advance_millis(DAY + 1);
    let in_time = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    mail_to(&setup, &in_time.email).await;
    setup.wait_until_empty().await;
    worker.stop().await;
    assert_eq!(setup.server.mails().len(), 1);
    setup.tear_down().await;
}

async fn mail_that_another_process_ordered_is_found(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (_mailer, worker) = setup.start_with(&setup.setting().transport, &setup.other);
    let first = setup.ordering_account().await;
    mail_to(&setup, &first.email).await;
    setup.wait_until_empty().await;
    let second = setup.ordering_account().await;
    // Nobody tells the worker.
    setup.pass_until(|| setup.server.mails().iter().any(|mail| mail.is_to(second.email.as_str()))).await;
    worker.stop().await;
    setup.tear_down().await;
}
