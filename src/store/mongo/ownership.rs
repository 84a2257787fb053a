//! The first verification of an address, by which a registration becomes an account.

use mongodb::bson::{Bson, Document, doc};

use super::MongoStore;
use super::documents::user_id;
use super::mail_tokens::{GoodToken, token_key, with_token};
use super::names::Claim;
use crate::domain::{MailTokenHash, Timestamp, UserId};
use crate::store::StoreError;

impl MongoStore {
    pub(super) async fn verify(&self, hash: MailTokenHash, at: Timestamp) -> Result<Option<UserId>, StoreError> {
        let Some(token) = self.find_token(hash, at).await?.filter(|token| !token.purpose.is_reset() && !token.is_move()) else {
            return Ok(None);
        };
        let mut filter = with_token(&token, hash, at);
        let used_up = doc! { "mailTokens": { "hash": token_key(hash) } };
        let verified = match &token.pending_email_key {
            None => {
                filter.extend(doc! { "heldUntil": Bson::Null, "emailKey": token.address.key().as_str(), "isEmailVerified": false });
                let update = doc! { "$set": { "isEmailVerified": true }, "$pull": used_up };
                self.update_user(filter, update).await?.matched_count > 0
            }
            Some(address) => {
                filter.insert("pendingEmailKey", address.as_str());
                let update = doc! {
                    "$set": { "isEmailVerified": true, "emailKey": address.as_str(), "addressKeys": [address.as_str()] },
                    "$unset": { "heldUntil": "", "pendingEmailKey": "" },
                    "$pull": used_up,
                };
                self.activate(&token, filter, update, at).await?
            }
        };
        Ok(verified.then_some(user_id(token.id)))
    }

    /// Makes a registration an account, unless its address is an account's.
    async fn activate(&self, token: &GoodToken, filter: Document, update: Document, at: Timestamp) -> Result<bool, StoreError> {
        let claim = Claim { owner: user_id(token.id), username: None, email: Some(token.address.key()) };
        let activated = self.unless_taken(&claim, at, || self.update_user_unless_taken(filter.clone(), update.clone())).await?;
        Ok(activated.is_ok_and(|updated| updated.matched_count > 0))
    }
}
