//! Changes to a profile: one write, whose expressions see the document as it was before.

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::ReturnDocument;

use super::documents::{USERS, date, user_key};
use super::expressions::{array, literal};
use super::failure::unless_duplicate;
use super::names::{Claim, Taken};
use super::profiles::{ProfileDocument, profile_fields};
use super::{MongoStore, outbox};
use crate::domain::{Email, MailKind, Timestamp, UserId, Username};
use crate::store::{AddressMail, KEEP_PREVIOUS_ADDRESS_MILLIS, MessagesFrom, ProfileChange, ProfileUpdate, StoreError};

impl MongoStore {
    pub(super) async fn change_profile(
        &self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
        mail: AddressMail,
    ) -> Result<ProfileUpdate, StoreError> {
        let claim =
            Claim { owner: user, username: change.username.as_ref().map(Username::key), email: change.email.as_ref().map(Email::key) };
        let written = self.unless_taken(&claim, at, || self.write_profile(user, assignments(change, at, mail))).await?;
        Ok(match written {
            Ok(Some(person)) => ProfileUpdate::Updated(person.into_user().map_err(StoreError::broken)?),
            Ok(None) => ProfileUpdate::NotFound,
            Err(Taken::Username | Taken::Pending(_)) => ProfileUpdate::UsernameTaken,
            Err(Taken::Email) => ProfileUpdate::EmailTaken,
        })
    }

    /// `None` where a unique index refused the change, an inner `None` where there is no such person.
    async fn write_profile(&self, user: UserId, update: Vec<Document>) -> Result<Option<Option<ProfileDocument>>, StoreError> {
        let filter = doc! { "_id": user_key(user), "heldUntil": null };
        self.connection
            .write(|database| async move {
                let users = database.collection::<ProfileDocument>(USERS);
                let update = users.find_one_and_update(filter, update).return_document(ReturnDocument::After);
                unless_duplicate(update.projection(profile_fields()).await)
            })
            .await
    }
}

fn assignments(change: &ProfileChange, at: Timestamp, mail: AddressMail) -> Vec<Document> {
    let mut fields = Document::new();
    if let Some(name) = &change.username {
        fields.insert("username", literal(name.as_str()));
        fields.insert("usernameKey", literal(name.key().as_str()));
    }
    if let Some(choice) = change.messages_from.map(MessagesFrom::as_str) {
        fields.insert("messagesFrom", literal(choice));
    }
    let Some(email) = &change.email else { return vec![doc! { "$set": fields }] };
    fields.extend(new_address(email, at, mail));
    vec![doc! { "$set": fields }, outbox::summary()]
}

/// The fields that change with an address. Most of them only if it is another one, and not the same in other letters.
fn new_address(email: &Email, at: Timestamp, mail: AddressMail) -> Document {
    let key = literal(email.key().as_str());
    let if_another = |then: Bson, otherwise: Bson| doc! { "$cond": [{ "$ne": ["$emailKey", key.clone()] }, then, otherwise] };
    let ordered = address_mail(email, at, mail);
    doc! {
        "email": literal(email.as_str()),
        "emailKey": key.clone(),
        "isEmailVerified": if_another(false.into(), "$isEmailVerified".into()),
        "mailTokens": if_another(Bson::Array(Vec::new()), array("mailTokens").into()),
        "previousEmail": if_another(given_up(at).into(), doc! { "$ifNull": ["$previousEmail", "$$REMOVE"] }.into()),
        "mail": outbox::appended(if_another(ordered, Bson::Array(Vec::new()))),
    }
}

/// The mail about a change of address; an empty present address gets none.
fn address_mail(new: &Email, at: Timestamp, mail: AddressMail) -> Bson {
    let to_present = outbox::entry(MailKind::AddressChanged, "$email", at);
    let to_new = match mail {
        AddressMail::None => return Bson::Array(Vec::new()),
        AddressMail::ToPresent => Vec::new(),
        AddressMail::ToBoth => vec![outbox::entry(MailKind::NewAddress, literal(new.as_str()), at)],
    };
    let to_both: Vec<Bson> = std::iter::once(to_present).chain(to_new.iter().cloned()).collect();
    doc! { "$cond": [has_none(), to_new, to_both] }.into()
}

/// Whether the present address is the empty one of an account that has lost its own.
fn has_none() -> Document {
    doc! { "$eq": ["$email", ""] }
}

/// The previous address once the present one, if any, is given up: an earlier one as long as it is kept.
fn given_up(at: Timestamp) -> Document {
    let kept_until = doc! { "$ifNull": ["$previousEmail.until", DateTime::from_millis(0)] };
    let earlier = doc! { "$ifNull": ["$previousEmail", "$$REMOVE"] };
    let present = doc! { "address": "$email", "key": "$emailKey", "until": date(at.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS)) };
    doc! { "$cond": [{ "$or": [has_none(), { "$gt": [kept_until, date(at)] }] }, earlier, present] }
}
