//! The outbox and the tokens that are out, in MongoDB.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::addresses::link_key;
use super::connection::DEADLINE;
use super::documents::{USERS, date, user_key};
use super::expressions::literal;
use super::outbox::{self, OutboxDocument, outbox_fields};
use super::{MongoStore, computed, mail_tokens};
use crate::domain::{MailPurpose, Timestamp, UserId};
use crate::store::{DueMail, Link, MAX_WAIT_MILLIS, MailStore, NewMail, NewMailToken, StoreError};

#[derive(Deserialize)]
struct Count {
    #[serde(deserialize_with = "computed::whole_number")]
    waiting: i64,
}

#[async_trait]
impl MailStore for MongoStore {
    async fn order_mail(&self, user: UserId, mail: &NewMail) -> Result<(), StoreError> {
        let filter = doc! { "_id": user_key(user), "heldUntil": null };
        let at = self.connection.clock.correct(mail.at);
        let entry = outbox::entry(mail.kind, literal(mail.address.as_str()), at);
        self.update_user(filter, outbox::set_mail(outbox::appended(vec![entry]))).await.map(drop)
    }

    async fn take_due_mail(&self, at: Timestamp, until: Timestamp) -> Result<Option<DueMail>, StoreError> {
        let (at, until) = (self.connection.clock.correct(at), self.connection.clock.correct(until));
        let late = doc! { "$lte": date(at) };
        let put_off_ahead = doc! { "$gt": date(at.plus_millis(MAX_WAIT_MILLIS)) };
        for due in [late, put_off_ahead] {
            if let Some(mail) = self.take_mail(due, at, until).await? {
                return Ok(Some(mail));
            }
        }
        Ok(None)
    }

    async fn postpone_mail(&self, mail: &DueMail, until: Timestamp, link: Link) -> Result<(), StoreError> {
        let unsettled = mail.unsettled.saturating_sub(u32::from(link == Link::TakenBack));
        let is_over = link == Link::TakenBack && unsettled == 0;
        let left = DueMail { unsettled, begun: mail.begun.filter(|_| !is_over), ..mail.clone() };
        let mut update = outbox::set_mail(outbox::postponed(&left, self.connection.clock.correct(until)));
        if let (true, Some(hash)) = (is_over, mail.begun) {
            update.push(doc! { "$set": { "mailTokens": mail_tokens::without(hash) } });
        }
        self.update_user(taken_by_us(mail), update).await.map(drop)
    }

    async fn finish_mail(&self, mail: &DueMail) -> Result<(), StoreError> {
        self.update_user(taken_by_us(mail), outbox::set_mail(outbox::without(mail.id))).await.map(drop)
    }

    async fn put_mail_token(&self, mail: &DueMail, token: &NewMailToken, at: Timestamp) -> Result<bool, StoreError> {
        let mut update = match mail.begun {
            Some(old) if token.link.is_none() => doc! { "mailTokens": mail_tokens::renamed(old, token.hash) },
            _ => mail_tokens::put(token),
        };
        let filter = if let Some(link) = token.link {
            let way_back = doc! { "key": token.address.key().as_str(), "link": link_key(link) };
            let mut filter = taken_by_us(mail);
            filter.insert("recovery", doc! { "$elemMatch": way_back });
            filter
        } else {
            update.insert("mail", outbox::begun(&mail.begun_with(token.hash)));
            may_begin(mail, token, at)
        };
        Ok(self.update_user(filter, vec![doc! { "$set": update }]).await?.matched_count > 0)
    }

    async fn count_mail(&self) -> Result<u64, StoreError> {
        // A range with everything in it, and not "exists", lets the index answer alone.
        let pipeline = [
            doc! { "$match": { "mailDueAt": { "$gte": DateTime::from_millis(0) } } },
            doc! { "$group": { "_id": null, "waiting": { "$sum": "$mailCount" } } },
        ];
        let count: Option<Count> = self
            .connection
            .read(|database| async move {
                let users = database.collection::<Document>(USERS);
                users.aggregate(pipeline).with_type().max_time(DEADLINE).await?.try_next().await
            })
            .await?;
        count.map_or(Ok(0), |count| u64::try_from(count.waiting).map_err(StoreError::broken))
    }
}

impl MongoStore {
    /// Takes the first of the mail whose time is so, by the server's clock.
    async fn take_mail(&self, due: Document, at: Timestamp, until: Timestamp) -> Result<Option<DueMail>, StoreError> {
        let filter = doc! { "mailDueAt": due, "heldUntil": { "$not": { "$lte": date(at) } } };
        let taking = Uuid::new();
        let update = outbox::set_mail(outbox::taken(taking, until));
        let taken: Option<OutboxDocument> = self
            .connection
            .write(|database| async move {
                let outboxes = database.collection(USERS);
                let update = outboxes.find_one_and_update(filter, update).return_document(ReturnDocument::After);
                update.sort(doc! { "mailDueAt": 1 }).projection(outbox_fields()).await
            })
            .await?;
        let Some(outbox) = taken else { return Ok(None) };
        let mail = outbox.into_taken(taking, at).map_err(StoreError::broken)?;
        Ok(Some(DueMail { ordered_at: self.connection.clock.local(mail.ordered_at), ..mail }))
    }
}

/// Matches the account of a taken mail as long as a token may be put out for it.
fn may_begin(mail: &DueMail, token: &NewMailToken, at: Timestamp) -> Document {
    let address = token.address.key();
    let mut accepted = vec![doc! { "emailKey": address.as_str() }, doc! { "pendingEmailKey": address.as_str() }];
    accepted.extend((token.purpose == MailPurpose::NewAddress).then(|| doc! { "pendingEmail.key": address.as_str() }));
    let mut entry = outbox::still_taken(mail);
    entry.insert("begun", mail.begun.map_or(Bson::Null, |hash| mail_tokens::token_key(hash).into()));
    let mut filter = doc! { "_id": user_key(mail.user), "mail": { "$elemMatch": entry }, "$or": accepted };
    if let Some(hash) = mail.begun {
        let good = doc! { "hash": mail_tokens::token_key(hash), "expiresAt": { "$gt": date(at) } };
        filter.insert("mailTokens", doc! { "$elemMatch": good });
    }
    filter
}

/// Matches the account of a taken mail as long as that is its taker's.
fn taken_by_us(mail: &DueMail) -> Document {
    doc! { "_id": user_key(mail.user), "mail": { "$elemMatch": outbox::still_taken(mail) } }
}
