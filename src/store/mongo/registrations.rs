//! Registrations that are repeated while they wait for their address to be verified, in MongoDB.

use mongodb::bson::{Bson, doc};

use super::MongoStore;
use super::documents::{date, to_bson, user_key};
use super::outbox::MailDocument;
use crate::store::{NewMail, PendingRegistration, StoreError};

impl MongoStore {
    /// No link to the former address is left, nor mail that would bring one.
    pub(super) async fn replace_registered_address(&self, checked: &PendingRegistration, mail: &NewMail) -> Result<bool, StoreError> {
        let filter = doc! {
            "_id": user_key(checked.id),
            "passwordHash": checked.password_hash.expose(),
            "pendingEmailKey": { "$exists": true },
            "heldUntil": { "$gt": date(mail.at) },
        };
        let order = self.connection.clock.order(mail);
        let update = doc! {
            "$set": {
                "email": mail.address.as_str(),
                "pendingEmailKey": mail.address.key().as_str(),
                "mailTokens": Bson::Array(Vec::new()),
                "mail": [to_bson(&MailDocument::new(&order)).map_err(StoreError::broken)?],
                "mailDueAt": date(order.at),
                "mailCount": 1_i64,
            },
            "$max": { "heldUntil": date(checked.held_until(mail.at)) },
        };
        Ok(self.update_user(filter, update).await?.matched_count > 0)
    }
}
