//! Mail of accounts that change their address: what it tells, and how much of it there is.

use std::sync::Arc;

use chat_functions::domain::{Email, LinkId, MailKind, MailToken, PendingEmail, Session, SessionId, SessionKey};
use chat_functions::store::{AddressMail, EmailChange, MoveOutcome, MoveProof, ProfileChange, ProfileUpdate, User};

use crate::setup::{DAY, MINUTE, Setup, password_hash};
use crate::support::smtp::{PATIENCE, ReceivedMail};
use crate::{Context, tests};

tests!(Context:
    how_long_an_address_is_wanted_does_not_tell_whether_it_is_somebodys,
    only_ways_back_are_told_of_every_change,
);

const HOUR: i64 = 60 * MINUTE;

/// Somebody logged in, whose address is verified.
struct Mover<'a> {
    setup: &'a Setup,
    user: User,
    key: SessionKey,
}

impl<'a> Mover<'a> {
    async fn new(setup: &'a Setup) -> Self {
        let user = setup.account(|_email| None).await;
        let session = Session::begin(&SessionId::generate().expect("random bytes"), setup.clock.now(), None);
        setup.store.start_session(user.id, &password_hash(), None, &session).await.expect("an answer").expect("a person");
        setup.order(&user, MailKind::Verification).await;
        let link = link_to(setup, &user.email).await;
        setup.store.verify_email(&link.hash(), setup.clock.now()).await.expect("an answer").expect("a person");
        Self { key: SessionKey { user: user.id, session: session.hash }, setup, user }
    }

    async fn want(&self, address: &Email) {
        let change = EmailChange { address: address.clone(), is_proven: true, by_link: true, mail: AddressMail::ToBoth };
        let change = ProfileChange { email: Some(change), ..ProfileChange::default() };
        let update = self.setup.store.update_profile(&self.key, &change, self.setup.clock.now()).await.expect("an answer");
        assert!(matches!(update, ProfileUpdate::Updated(_)));
    }

    async fn move_to(&self, address: &Email) {
        self.want(address).await;
        let (hash, proof) = (link_to(self.setup, address).await.hash(), MoveProof::Session(self.key.session));
        let link = LinkId::generate().expect("random bytes");
        let moved = self.setup.store.move_address(&hash, &proof, link, self.setup.clock.now(), true).await.expect("an answer");
        assert_eq!(moved, MoveOutcome::Moved);
    }

    async fn wanted(&self) -> PendingEmail {
        let user = self.setup.store.find_profile(&self.key).await.expect("an answer").expect("a session").record;
        user.pending_email.expect("a wish")
    }
}

async fn link_to(setup: &Setup, address: &Email) -> MailToken {
    let mail = setup.server.wait_for(|mail| mail.is_to(address.as_str()), PATIENCE).await;
    MailToken::parse(&mail.token().expect("a link")).expect("a token in its one spelling")
}

fn count_to(setup: &Setup, address: &Email) -> usize {
    setup.server.mails().iter().filter(|mail| mail.is_to(address.as_str())).count()
}

/// The mail leaves hours after it was ordered, and the owner of the address is told the first time only.
async fn how_long_an_address_is_wanted_does_not_tell_whether_it_is_somebodys(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (_mailer, worker) = setup.start();
    let (owner, free) = (setup.account(|_email| None).await, Email::parse("nobodys@mail.example.org").expect("an address"));
    let movers = [(Mover::new(&setup).await, &owner.email), (Mover::new(&setup).await, &free)];
    worker.stop().await;
    for _ in 0..2 {
        for (mover, address) in &movers {
            mover.want(address).await;
        }
        setup.clock.advance_millis(3 * HOUR);
        let leaving = setup.clock.now();
        let (_mailer, worker) = setup.start();
        setup.wait_until_empty().await;
        worker.stop().await;
        for (mover, address) in &movers {
            let wanted = mover.wanted().await;
            assert_eq!(wanted.address, **address);
            assert!(wanted.until >= leaving.plus_millis(DAY), "{}", wanted.until.as_millis() - leaving.as_millis());
        }
    }
    let told: Vec<ReceivedMail> = setup.server.mails().into_iter().filter(|mail| mail.is_to(owner.email.as_str())).collect();
    let told: Vec<_> = told.iter().map(|mail| (mail.subject(), mail.token())).collect();
    assert_eq!(told, [("You have an account at chat.example.com".to_owned(), None)]);
    assert_eq!(count_to(&setup, &free), 2);
    setup.tear_down().await;
}

/// An address that was never verified may be a stranger's, whom somebody wants to get much mail.
async fn only_ways_back_are_told_of_every_change(context: Arc<Context>) {
    let setup = Setup::new(&context).await;
    let (mailer, worker) = setup.start();
    let mover = Mover::new(&setup).await;
    mover.move_to(&Email::parse("moved-to@mail.example.org").expect("an address")).await;
    setup.wait_until_empty().await;
    let (stranger, before) = (setup.account(|_email| None).await, count_to(&setup, &mover.user.email));
    for sent in 1..=3 {
        for user in [&stranger, &mover.user] {
            setup.order(user, MailKind::AddressChanged).await;
        }
        mailer.notify();
        setup.wait_until_empty().await;
        assert_eq!((count_to(&setup, &stranger.email), count_to(&setup, &mover.user.email)), (sent, before + sent));
    }
    for user in [&stranger, &mover.user] {
        setup.order(user, MailKind::AddressChanged).await;
    }
    setup.wait_until_left(1).await;
    assert_eq!((count_to(&setup, &stranger.email), count_to(&setup, &mover.user.email)), (3, before + 4));
    setup.clock.advance_millis(HOUR);
    setup.pass_until(|| count_to(&setup, &stranger.email) == 4).await;
    worker.stop().await;
    setup.tear_down().await;
}
