//! The outbox and the tokens that are out, in MongoDB.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::connection::DEADLINE;
use super::documents::{USERS, date, user_key};
use super::expressions::literal;
use super::outbox::{self, OutboxDocument, mail_key, outbox_fields};
use super::{MongoStore, computed, mail_tokens};
use crate::domain::{MailPurpose, Timestamp, UserId};
use crate::store::{DueMail, MailStore, NewMail, NewMailToken, StoreError};

#[derive(Deserialize)]
struct Count {
    #[serde(deserialize_with = "computed::whole_number")]
    waiting: i64,
}

#[async_trait]
impl MailStore for MongoStore {
    async fn order_mail(&self, user: UserId, mail: &NewMail) -> Result<(), StoreError> {
        let filter = doc! { "_id": user_key(user), "heldUntil": null };
        let entry = outbox::entry(mail.kind, literal(mail.address.as_str()), mail.at);
        self.update_user(filter, outbox::set_mail(outbox::appended(vec![entry]))).await.map(drop)
    }

    async fn take_due_mail(&self, at: Timestamp, until: Timestamp) -> Result<Option<DueMail>, StoreError> {
        let filter = doc! { "mailDueAt": { "$lte": date(at) }, "heldUntil": { "$not": { "$lte": date(at) } } };
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
        taken.map(|outbox| outbox.into_taken(taking).map_err(StoreError::broken)).transpose()
    }

    async fn postpone_mail(&self, mail: &DueMail, until: Timestamp) -> Result<(), StoreError> {
        let filter = doc! { "_id": user_key(mail.user), "mail.id": mail_key(mail.id) };
        // Not counted up in the database, so that repeating it is safe.
        let postponed = outbox::postponed(mail.id, until, mail.attempts.saturating_add(1));
        self.update_user(filter, outbox::set_mail(postponed)).await.map(drop)
    }

    async fn finish_mail(&self, mail: &DueMail) -> Result<(), StoreError> {
        let filter = doc! { "_id": user_key(mail.user) };
        self.update_user(filter, outbox::set_mail(outbox::without(mail))).await.map(drop)
    }

    async fn put_mail_token(&self, user: UserId, token: &NewMailToken) -> Result<bool, StoreError> {
        let address = token.address.key();
        let mut accepted = vec![doc! { "emailKey": address.as_str() }, doc! { "pendingEmailKey": address.as_str() }];
        if token.purpose == MailPurpose::PasswordReset {
            accepted.push(doc! { "previousEmail.key": address.as_str() });
        }
        let filter = doc! { "_id": user_key(user), "$or": accepted };
        let update = vec![doc! { "$set": { "mailTokens": mail_tokens::replaced(token) } }];
        Ok(self.update_user(filter, update).await?.matched_count > 0)
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
