//! Changes to a profile: one write, whose expressions see the document as it was before.

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;

use super::addresses::AddressStep;
use super::documents::{USERS, session_key, user_key};
use super::expressions::literal;
use super::failure::unless_duplicate;
use super::names::{Claim, Taken};
use super::patience::Patience;
use super::profiles::{ProfileDocument, profile_fields};
use super::{MongoStore, outbox};
use crate::domain::{Email, MailKind, SessionKey, Timestamp, Username};
use crate::store::users::EmailStep;
use crate::store::{EmailChange, MessagesFrom, ProfileChange, ProfileUpdate, StoreError};

impl MongoStore {
    pub(super) async fn change_profile(
        &self,
        key: &SessionKey,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<ProfileUpdate, StoreError> {
        let claim = Claim {
            owner: key.user,
            username: change.username.as_ref().map(Username::key),
            email: change.email.as_ref().map(|email| email.address.key()),
        };
        let mut patience = Patience::begin();
        loop {
            let mut filter = owner(key, change);
            let update = match &change.email {
                None => vec![doc! { "$set": assignments(change) }],
                Some(email) => match self.step_to(email, filter.clone(), at).await? {
                    Step::Refused(refusal) => return Ok(refusal),
                    Step::Taken(step, ordered) => {
                        filter.extend(step.filter());
                        step.update(assignments(change), ordered)
                    }
                },
            };
            match self.unless_taken(&claim, at, || self.write_profile(filter.clone(), update.clone())).await? {
                Ok(Some(person)) => return Ok(ProfileUpdate::Updated(person.into_user().map_err(StoreError::broken)?)),
                Ok(None) if change.email.is_none() => return Ok(ProfileUpdate::NotFound),
                // Whether the addresses have changed or the caller is gone the next attempt sees.
                Ok(None) => patience.try_again(false).await?,
                Err(Taken::Username | Taken::Pending(_)) => return Ok(ProfileUpdate::UsernameTaken),
                Err(Taken::Email) => return Ok(ProfileUpdate::EmailTaken),
            }
        }
    }

    /// What a change of address does to the addresses as they are now, and the mail that it orders, as an expression.
    async fn step_to(&self, email: &EmailChange, owner: Document, at: Timestamp) -> Result<Step, StoreError> {
        let Some(seen) = self.find_addresses(owner).await? else { return Ok(Step::Refused(ProfileUpdate::NotFound)) };
        Ok(match email.step_from(&seen, at) {
            Ok(EmailStep { next, notice, link }) => {
                let ordered = ordered(notice, link, &email.address, self.connection.clock.correct(at));
                Step::Taken(AddressStep { seen, next, used: None }, ordered)
            }
            Err(refusal) => Step::Refused(refusal.into()),
        })
    }

    /// `None` where a unique index refused the change, an inner `None` where there is no such person.
    async fn write_profile(&self, filter: Document, update: Vec<Document>) -> Result<Option<Option<ProfileDocument>>, StoreError> {
        self.connection
            .write(|database| async move {
                let users = database.collection::<ProfileDocument>(USERS);
                let update = users.find_one_and_update(filter, update).return_document(ReturnDocument::After);
                unless_duplicate(update.projection(profile_fields()).await)
            })
            .await
    }
}

enum Step {
    Taken(AddressStep, Bson),
    Refused(ProfileUpdate),
}

/// Matches the caller as long as what let them in is good.
fn owner(key: &SessionKey, change: &ProfileChange) -> Document {
    let mut filter = doc! { "_id": user_key(key.user), "sessions.id": session_key(key.session), "heldUntil": Bson::Null };
    if let Some(checked) = &change.checked {
        filter.insert("passwordHash", checked.expose());
    }
    filter
}

/// The fields that change besides the addresses.
fn assignments(change: &ProfileChange) -> Document {
    let mut fields = Document::new();
    if let Some(name) = &change.username {
        fields.insert("username", literal(name.as_str()));
        fields.insert("usernameKey", literal(name.key().as_str()));
    }
    if let Some(choice) = change.messages_from.map(MessagesFrom::as_str) {
        fields.insert("messagesFrom", literal(choice));
    }
    fields
}

fn ordered(notice: Option<MailKind>, link: Option<MailKind>, new: &Email, at: Timestamp) -> Bson {
    let to_present = notice.map_or_else(|| Bson::Array(Vec::new()), |kind| outbox::notices(kind, at).into());
    let to_new: Vec<Bson> = link.map(|kind| outbox::entry(kind, literal(new.as_str()), at)).into_iter().collect();
    doc! { "$concatArrays": [to_present, to_new] }.into()
}
