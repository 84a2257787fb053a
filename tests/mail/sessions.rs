//! How a mail server is spoken to: what is encrypted, and what is never sent.

use std::sync::Arc;

use chat_functions::mail::{SmtpCredentials, SmtpTls, Transport, TransportSetting};

use crate::setup::{BASE_URL, SENDER, Setup};
use crate::support::smtp::{Condition, Options, PATIENCE, Security};
use crate::{Context, tests};

/// Sessions have nothing to do with the store.
const ONCE: &[&str] = &["sqlite"];

tests!(Context:
    mail_and_password_travel_encrypted in ONCE,
    a_server_that_nobody_vouches_for_gets_neither_password_nor_mail in ONCE,
    there_is_no_falling_back_to_clear_text in ONCE,
    a_server_on_this_machine_may_do_without_encryption in ONCE,
    a_wrong_password_is_told_and_loses_no_mail in ONCE,
    a_server_that_is_away_or_hangs_up_is_told in ONCE,
    a_server_that_takes_no_mail_from_us_is_told in ONCE,
    ways_without_a_server_need_none in ONCE,
);

const SAM: Option<(&str, &str)> = Some(("sam", "s3cret"));

async fn check(setting: &TransportSetting) -> Result<(), String> {
    let transport = Transport::open(setting, BASE_URL).expect("a transport");
    transport.check(&SENDER.parse().expect("a mailbox")).await.map_err(|error| error.to_string())
}

async fn mail_and_password_travel_encrypted(context: Arc<Context>) {
    for (security, mechanisms) in
        [(Security::StartTls, "PLAIN"), (Security::StartTls, "LOGIN"), (Security::FromTheBeginning, "PLAIN LOGIN")]
    {
        let setup = Setup::with(&context, Options { security, mechanisms, credentials: SAM }).await;
        // As settings say for this machine, and as for any other.
        for setting in [setup.setting().transport, setup.strict()] {
            assert_eq!(check(&setting).await, Ok(()));
            let user = setup.ordering_account().await;
            let (_mailer, worker) = setup.start_with(&setting, &setup.store);
            let mail = setup.server.wait_for(|mail| mail.is_to(user.email.as_str()), PATIENCE).await;
            assert_eq!((mail.user.as_deref(), mail.is_encrypted, mail.from.as_str()), (Some("sam"), true, SENDER));
            assert_eq!(mail.client, "chat.example.com");
            worker.stop().await;
        }
        let in_clear = setup.server.commands().into_iter().filter(|command| !command.is_encrypted);
        assert!(in_clear.into_iter().all(|command| ["EHLO", "STARTTLS"].contains(&command.verb.as_str())));
        setup.tear_down().await;
    }
}

async fn a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(context: Arc<Context>) {
    for security in [Security::StartTls, Security::FromTheBeginning] {
        let setup = Setup::with(&context, Options { security, credentials: SAM, ..Options::default() }).await;
        let _user = setup.ordering_account().await;
        for tls in [SmtpTls::Offered, SmtpTls::Required] {
            let setting = setup.smtp(|smtp| {
                smtp.authorities = None;
                if security == Security::StartTls {
                    smtp.tls = tls;
                }
            });
            let told = check(&setting).await.expect_err("must be refused");
            assert!(told.contains("UnknownIssuer"), "{told}");
            let (_mailer, worker) = setup.start_with(&setting, &setup.store);
            setup.server.wait_for_connection(setup.server.connections()).await;
            worker.stop().await;
        }
        let verbs: Vec<String> = setup.server.commands().into_iter().map(|command| command.verb).collect();
        assert!(verbs.iter().all(|verb| ["EHLO", "STARTTLS"].contains(&verb.as_str())), "{verbs:?}");
        assert_eq!(setup.waiting().await, 1);
        setup.tear_down().await;
    }
}

async fn there_is_no_falling_back_to_clear_text(context: Arc<Context>) {
    let setup = Setup::with(&context, Options { credentials: SAM, ..Options::default() }).await;
    let told = check(&setup.strict()).await.expect_err("must be refused");
    assert!(told.contains("STARTTLS"), "{told}");
    let _user = setup.ordering_account().await;
    let before = setup.server.connections();
    let (_mailer, worker) = setup.start_with(&setup.strict(), &setup.store);
    setup.server.wait_for_connection(before).await;
    worker.stop().await;
    let commands = setup.server.commands();
    assert!(commands.iter().all(|command| command.verb == "EHLO"), "{commands:?}");
    assert_eq!(setup.waiting().await, 1);
    setup.tear_down().await;
}

async fn a_server_on_this_machine_may_do_without_encryption(context: Arc<Context>) {
    let setup = Setup::with(&context, Options { credentials: SAM, ..Options::default() }).await;
    assert_eq!(check(&setup.setting().transport).await, Ok(()));
    let _user = setup.ordering_account().await;
    let (_mailer, worker) = setup.start();
    setup.server.wait_for_count(1).await;
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_wrong_password_is_told_and_loses_no_mail(context: Arc<Context>) {
    let setup = Setup::with(&context, Options { credentials: SAM, ..Options::default() }).await;
    let wrong = setup.smtp(|smtp| smtp.credentials = Some(SmtpCredentials { user: "sam".to_owned(), password: "gue55".into() }));
    let told = check(&wrong).await.expect_err("must be refused");
    assert!(told.contains("535 5.7.8") && !told.contains("gue55"), "{told}");
    let user = setup.ordering_account().await;
    let before = setup.server.commands().len();
    let (_mailer, worker) = setup.start_with(&wrong, &setup.store);
    setup.server.wait_for_command("AUTH", 1).await;
    worker.stop().await;
    assert!(setup.server.commands().len() > before);
    assert_eq!(setup.waiting().await, 1, "the password's fault is not the mail's");
    let (_mailer, worker) = setup.start();
    let mail = setup.server.wait_for(|_any| true, PATIENCE).await;
    assert!(mail.is_to(user.email.as_str()));
    worker.stop().await;
    setup.tear_down().await;
}

async fn a_server_that_is_away_or_hangs_up_is_told(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    for (condition, words) in [(Condition::HangsUp, "hung up"), (Condition::Away, "refused")] {
        setup.server.set(condition).await;
        let told = check(&setup.setting().transport).await.expect_err("must fail");
        assert!(told.contains(words), "{told}");
    }
    setup.tear_down().await;
}

async fn a_server_that_takes_no_mail_from_us_is_told(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    setup.server.refuse(SENDER, "554 5.7.1 Relay access denied");
    let told = check(&setup.setting().transport).await.expect_err("must fail");
    assert!(told.contains("MAIL_FROM") && told.contains("554 5.7.1"), "{told}");
    setup.server.take(SENDER);
    assert_eq!(check(&setup.setting().transport).await, Ok(()));
    let verbs: Vec<String> = setup.server.commands().into_iter().map(|command| command.verb).collect();
    assert_eq!(verbs[verbs.len() - 4..], ["MAIL", "RCPT", "RSET", "QUIT"], "no mail is sent");
    setup.tear_down().await;
}

async fn ways_without_a_server_need_none(_context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    for setting in [TransportSetting::None, TransportSetting::Log, TransportSetting::Folder(folder.path().join("mail"))] {
        assert_eq!(check(&setting).await, Ok(()));
    }
}
