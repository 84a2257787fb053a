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
use crate::domain::{MailKind, Move, MoveRefusal, SessionKey, Timestamp, Username};
use crate::store::{AddressMail, EmailChange, MessagesFrom, ProfileChange, ProfileUpdate, StoreError};

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
        let live = seen.at(at);
        let planned = match live.plan(&email.address.key(), email.by_link) {
            Ok(planned) if planned != Move::Stay && !email.is_proven => return Ok(Step::Refused(ProfileUpdate::Unproven)),
            Ok(planned) => planned,
            Err(MoveRefusal::OwnRecovery) => return Ok(Step::Refused(ProfileUpdate::OwnRecovery)),
            Err(MoveRefusal::TooMany) => return Ok(Step::Refused(ProfileUpdate::TooManyChanges)),
        };
        let next = live.moved(planned, &email.address, at);
        Ok(Step::Taken(AddressStep { seen, next, used: None }, ordered(planned, email, at)))
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

fn ordered(planned: Move, email: &EmailChange, at: Timestamp) -> Bson {
    let (notice, link) = match planned {
        Move::Stay => return Bson::Array(Vec::new()),
        Move::AtOnce => (MailKind::AddressChanged, MailKind::Verification),
        Move::ByLink => (MailKind::AddressChangeAsked, MailKind::NewAddress),
    };
    let to_new = match email.mail {
        AddressMail::None => return Bson::Array(Vec::new()),
        AddressMail::ToPresent => Vec::new(),
        AddressMail::ToBoth => vec![outbox::entry(link, literal(email.address.as_str()), at)],
    };
    doc! { "$concatArrays": [outbox::notices(notice, at), to_new] }.into()
}
