//! Mail servers that are away, processes that die, and several that work at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::{Email, MailKind, MailPurpose, MailToken};
use chat_functions::mail::SmtpCredentials;

use crate::setup::{MINUTE, Setup};
use crate::support::smtp::{Condition, Options, PATIENCE, ReceivedMail, SILENCE, SmtpServer};
use crate::{Context, log, tests};

tests!(Context:
    mail_leaves_once_and_in_order_after_ten_minutes_without_a_server,
    mail_leaves_though_process_and_server_were_away,
    mail_that_a_dead_process_had_taken_leaves_after_its_lease,
    a_mail_that_is_on_the_wire_for_long_is_nobody_elses,
    an_instance_an_hour_ahead_shares_the_work in &["mongodb"],
    attempts_that_come_to_no_mail_cost_it_nothing,
    two_processes_send_each_mail_once,
    the_store_holds_no_token_that_could_be_used,
    a_link_that_was_used_is_not_sent_again,
    after_a_change_of_the_secret_a_repetition_replaces_the_link,
    an_earlier_link_stays_good_while_the_server_is_away,
    the_end_of_a_process_waits_for_mail_under_way,
    a_full_outbox_takes_orders_again_when_there_is_room,
);

/// The addresses that mail was sent to, in order of arrival.
fn recipients(server: &SmtpServer) -> Vec<String> {
    server.mails().iter().flat_map(|mail| mail.recipients.clone()).collect()
}

fn token(mail: &ReceivedMail) -> MailToken {
    MailToken::parse(&mail.token().expect("a token")).expect("a token in its one spelling")
}

async fn order_mails(setup: &Setup, count: usize) -> Vec<String> {
    let mut addresses = Vec::new();
    for _ in 0..count {
        addresses.push(setup.ordering_account().await.email.as_str().to_owned());
    }
    addresses
}

async fn mail_leaves_once_and_in_order_after_ten_minutes_without_a_server(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.set(Condition::HangsUp).await;
    let (mailer, worker) = setup.start();
    let addresses = order_mails(&setup, 20).await;
    mailer.notify();
    let back_at = setup.clock.now().plus_millis(10 * MINUTE);
    while setup.clock.now() < back_at {
        let before = setup.server.connections();
        setup.pass_until(|| setup.server.connections() > before).await;
    }
    assert!(setup.server.connections() <= 40, "{} attempts", setup.server.connections());
    assert_eq!(setup.waiting().await, 20);
    setup.server.set(Condition::Up).await;
    setup.pass_until(|| setup.server.mails().len() >= 20).await;
    setup.wait_until_empty().await;
    setup.pass(3 * MINUTE).await;
    let arrived = recipients(&setup.server);
    assert_eq!(arrived[0], addresses[0], "the first of all is tried first");
    assert_eq!(sorted(&arrived), sorted(&addresses), "each once");
    worker.stop().await;
    setup.tear_down().await;
}

fn sorted(addresses: &[String]) -> Vec<String> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted
}

async fn mail_leaves_though_process_and_server_were_away(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.set(Condition::Away).await;
    let (_mailer, worker) = setup.start();
    let addresses = order_mails(&setup, 5).await;
    setup.pass(5 * MINUTE).await;
    drop(worker);
    let (_mailer, worker) = setup.start();
    setup.pass(5 * MINUTE).await;
    worker.stop().await;
    setup.server.set(Condition::Up).await;
    let (_mailer, worker) = setup.start();
    setup.pass_until(|| setup.server.mails().len() >= 5).await;
    setup.wait_until_empty().await;
    assert_eq!(sorted(&recipients(&setup.server)), sorted(&addresses));
    worker.stop().await;
    setup.tear_down().await;
}

async fn mail_that_a_dead_process_had_taken_leaves_after_its_lease(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.set(Condition::Stalls).await;
    let user = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    setup.server.wait_for_command("DATA", 0).await;
    drop(worker);
    setup.server.wait_until_idle().await;
    setup.server.set(Condition::Up).await;
    let (mailer, worker) = setup.start_with(&setup.setting().transport, &setup.other);
    // While the lease runs, other mail leaves and this one does not.
    let other = setup.ordering_account().await;
    mailer.notify();
    setup.server.wait_for_count(1).await;
    setup.pass(MINUTE).await;
    assert_eq!(recipients(&setup.server), [other.email.as_str()]);
    setup.pass_until(|| setup.server.mails().len() == 2).await;
    assert!(setup.server.mails()[1].is_to(user.email.as_str()));
    setup.wait_until_empty().await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_mail_that_is_on_the_wire_for_long_is_nobody_elses(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let user = setup.ordering_account().await;
    setup.server.refuse(user.email.as_str(), SILENCE);
    let workers = [&setup.store, &setup.other].map(|store| setup.start_with(&setup.setting().transport, store));
    setup.server.wait_for_command("RCPT", 0).await;
    let told = format!("user={}", user.id);
    let renewals = || log::lines().iter().filter(|line| line.contains("event=mail_slow") && line.contains(&told)).count();
    for minute in 1..=5 {
        setup.clock.advance_millis(MINUTE);
        let begun = Instant::now();
        while renewals() < minute {
            assert!(begun.elapsed() < PATIENCE, "the lease is not renewed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // Whoever looks for mail finds others, and has looked past this one.
    let other = setup.ordering_account().await;
    for (mailer, _worker) in &workers {
        mailer.notify();
    }
    setup.server.wait_for(|mail| mail.is_to(other.email.as_str()), PATIENCE).await;
    assert_eq!(setup.server.commands().iter().filter(|command| command.verb == "RCPT").count(), 2);
    drop(workers);
    setup.tear_down().await;
}

async fn an_instance_an_hour_ahead_shares_the_work(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (ahead, clock) = setup.instance_ahead(60 * MINUTE).await;
    let (right, wrong) = ((&setup.store, &setup.clock), (&ahead, &clock));
    let mut sent = Vec::new();
    for (holder, other) in [(right, wrong), (wrong, right)] {
        let (held, urgent) = (setup.account(|_email| None).await, setup.account(|_email| None).await);
        setup.server.refuse(held.email.as_str(), SILENCE);
        let before = setup.server.commands().iter().filter(|command| command.verb == "RCPT").count();
        setup.order_at(holder.0, holder.1, &held, MailKind::Verification).await;
        let (_mailer, holding) = setup.start_by_clock(holder.0, holder.1);
        setup.server.wait_for_command("RCPT", before).await;
        // Another one is due at once, and then there is none.
        setup.order_at(holder.0, holder.1, &urgent, MailKind::Verification).await;
        let (_mailer, working) = setup.start_by_clock(other.0, other.1);
        setup.server.wait_for(|mail| mail.is_to(urgent.email.as_str()), PATIENCE).await;
        let now = other.1.now();
        assert_eq!(other.0.take_due_mail(now, now.plus_millis(MINUTE)).await.expect("an answer"), None);
        // It dies, and the other has what it held when its lease ends.
        drop(holding);
        setup.server.wait_until_idle().await;
        setup.server.take(held.email.as_str());
        for clock in [&setup.clock, &clock] {
            clock.advance_millis(3 * MINUTE);
        }
        setup.server.wait_for(|mail| mail.is_to(held.email.as_str()), PATIENCE).await;
        sent.extend([urgent, held].map(|user| user.email.as_str().to_owned()));
        working.stop().await;
        setup.wait_until_empty().await;
    }
    assert_eq!(recipients(&setup.server), sent);
    ahead.close().await;
    setup.tear_down().await;
}

async fn attempts_that_come_to_no_mail_cost_it_nothing(context: Arc<Context>) {
    const PASSWORD: &str = "s3cret";
    let setup = Setup::with(&context, Options { credentials: Some(("sam", PASSWORD)), ..Options::default() }).await;
    let user = setup.ordering_account().await;
    // No greeting, a log-in that is refused, and a sender who is.
    for (condition, password) in [(Condition::HangsUp, Some(PASSWORD)), (Condition::Up, Some("gue55")), (Condition::Up, None)] {
        setup.server.set(condition).await;
        let credentials = password.map(|password| SmtpCredentials { user: "sam".to_owned(), password: password.into() });
        let (_mailer, worker) = setup.start_with(&setup.smtp(|smtp| smtp.credentials = credentials), &setup.store);
        for _ in 0..14 {
            let before = setup.server.connections();
            setup.pass_until(|| setup.server.connections() > before).await;
        }
        worker.stop().await;
    }
    // 42 attempts are more than the 30 that a mail has.
    let (_mailer, worker) = setup.start();
    setup.server.wait_for(|mail| mail.is_to(user.email.as_str()), PATIENCE).await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn two_processes_send_each_mail_once(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let addresses = order_mails(&setup, 40).await;
    let workers = [&setup.store, &setup.other].map(|store| setup.start_with(&setup.setting().transport, store));
    setup.server.wait_for_count(40).await;
    setup.wait_until_empty().await;
    for (_mailer, worker) in workers {
        worker.stop().await;
    }
    let arrived = recipients(&setup.server);
    assert_eq!(sorted(&arrived), sorted(&addresses));
    let tokens: HashSet<_> = setup.server.mails().iter().map(|mail| mail.token().expect("a token")).collect();
    assert_eq!(tokens.len(), 40);
    setup.tear_down().await;
}

async fn the_store_holds_no_token_that_could_be_used(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.set(Condition::LosesReply).await;
    let _user = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    setup.pass_until(|| setup.server.mails().len() >= 2).await;
    worker.stop().await;
    let sent: Vec<MailToken> = setup.server.mails().iter().map(token).collect();
    let contents = setup.contents().await;
    let holds = |part: &[u8]| contents.windows(part.len()).any(|window| window == part);
    for token in &sent {
        let text = token.expose();
        let raw = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &text).expect("base64url");
        assert!(!holds(text.as_bytes()) && !holds(&raw));
    }
    let last = sent.last().expect("a token").hash();
    assert!(holds(&last.to_bytes()), "only this");
    assert!(sent.iter().all(|token| token.hash() == last), "and every attempt carries the same one");
    setup.tear_down().await;
}

/// Nobody knows of a mail whether it arrived, because the reply was lost or the process died; its owner does.
async fn a_link_that_was_used_is_not_sent_again(context: Arc<Context>) {
    for dies in [false, true] {
        let setup = Setup::new(&context).await;
        setup.server.set(Condition::LosesReply).await;
        let user = setup.ordering_account().await;
        let (_mailer, worker) = setup.start();
        let mail = setup.server.wait_for(|_any| true, PATIENCE).await;
        if dies {
            drop(worker);
        } else {
            worker.stop().await;
        }
        assert_eq!(setup.waiting().await, 1);
        let verified = setup.store.verify_email(&token(&mail).hash(), setup.clock.now()).await.expect("an answer");
        assert_eq!(verified, Some(user.id));
        setup.server.set(Condition::Up).await;
        let (_mailer, worker) = setup.start();
        setup.pass(3 * MINUTE).await;
        setup.wait_until_empty().await;
        worker.stop().await;
        assert_eq!(setup.server.mails().len(), 1);
        setup.tear_down().await;
    }
}

async fn after_a_change_of_the_secret_a_repetition_replaces_the_link(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.set(Condition::LosesReply).await;
    let user = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    let first = token(&setup.server.wait_for(|_any| true, PATIENCE).await).hash();
    worker.stop().await;
    setup.server.set(Condition::Up).await;
    let (_mailer, worker) = setup.start_by_secret(&setup.setting().transport, &setup.store, "a secret of later");
    setup.pass_until(|| setup.server.mails().len() == 2).await;
    setup.wait_until_empty().await;
    worker.stop().await;
    let second = token(&setup.server.mails()[1]).hash();
    for (hash, outcome) in [(first, None), (second, Some(user.id))] {
        assert_eq!(setup.store.verify_email(&hash, setup.clock.now()).await.expect("an answer"), outcome);
    }
    setup.tear_down().await;
}

async fn an_earlier_link_stays_good_while_the_server_is_away(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let user = setup.account(|_email| None).await;
    let (mailer, worker) = setup.start();
    setup.order(&user, MailKind::PasswordReset).await;
    mailer.notify();
    setup.server.wait_for_count(1).await;
    setup.wait_until_empty().await;
    setup.server.wait_until_idle().await;
    setup.server.set(Condition::HangsUp).await;
    setup.order(&user, MailKind::PasswordReset).await;
    mailer.notify();
    setup.server.wait_for_connection(setup.server.connections()).await;
    worker.stop().await;
    let hash = token(&setup.server.mails()[0]).hash();
    let found = setup.store.find_mail_token(&hash, MailPurpose::PasswordReset, setup.clock.now()).await.expect("an answer");
    assert_eq!(found.map(|owner| owner.user), Some(user.id));
    setup.tear_down().await;
}

async fn the_end_of_a_process_waits_for_mail_under_way(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.set(Condition::Stalls).await;
    let _user = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    setup.server.wait_for_command("DATA", 0).await;
    let stopped = tokio::spawn(worker.stop());
    setup.server.set(Condition::Up).await;
    stopped.await.expect("no panic");
    assert_eq!((setup.server.mails().len(), setup.waiting().await), (1, 0));
    setup.tear_down().await;
}

async fn a_full_outbox_takes_orders_again_when_there_is_room(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (mailer, worker) = setup.start();
    let address = Email::parse("ann@mail.example.org").expect("an address");
    let order = || mailer.order(MailKind::Verification, &address, setup.clock.now()).is_some();
    // More than 10,000 only if the worker was still counting.
    assert!((0..25_000).any(|_| !order()));
    // None of these orders came to the store, which the next count shows.
    setup.pass_until(order).await;
    worker.stop().await;
    setup.tear_down().await;
}
