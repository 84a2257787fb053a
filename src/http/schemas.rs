//! What the value types look like in the document of the API, with the limits that the types themselves keep.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat};
use utoipa::openapi::{Ref, RefOr, Required, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::ErrorCode;
use crate::domain::{
    ChatId, ClientId, Email, MailToken, MessageId, MessageText, Password, PublicSessionId, Timestamp, UserId, Username, UsernamePrefix,
};
use crate::store::{MessagesFrom, StoreKind};

/// Gives types their schemas.
macro_rules! schemas {
    ($($described:ty: $schema:expr;)+) => {$(
        impl PartialSchema for $described {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $described {}
    )+};
}

schemas! {
    UserId: text_schema("The id of a person.", "0199f3c28b7a7c1e9d0a5b6c7d8e9f01").pattern(Some("^[0-9a-f]{32}$"));
    ChatId: text_schema("The id of the chat of two people.", "0199f3c28b7a7c1e9d0a5b6c7d8e9f010199f3c2a4d17f3b8e2c4d5e6f708192")
        .pattern(Some("^[0-9a-f]{64}$"));
    MessageId: text_schema("The id of a message.", "0199f3c28b7a7c1e9d0a5b6c7d8e9f010199f3c2a4d17f3b8e2c4d5e6f708192-42")
        .pattern(Some("^[0-9a-f]{64}-[1-9][0-9]*$"));
    PublicSessionId: text_schema("The id of a session. It opens nothing.", "5b1d7c0f2a9e4d3c8b6a7f5e4d3c2b1a").pattern(Some("^[0-9a-f]{32}$"));
    ClientId: text_schema("A name that a client gives to one message, so that sending it again stores nothing twice.", "phone-1:42")
        .min_length(Some(1))
        .max_length(Some(ClientId::MAX_CHARS))
        .pattern(Some("^[A-Za-z0-9_.:-]+$"));
    Username: text_schema("A user name: letters and digits, with single . _ - between them. Unique without regard to case. White space around it is dropped.", "ann")
        .min_length(Some(Username::MIN_CHARS))
        .max_length(Some(Username::MAX_CHARS))
        .pattern(Some("^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"));
    UsernamePrefix: text_schema("The beginning of a user name.", "an")
        .min_length(Some(UsernamePrefix::MIN_CHARS))
        .max_length(Some(UsernamePrefix::MAX_CHARS));
    Email: text_schema("An e-mail address in ASCII. White space around it is dropped.", "ann@example.com")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(Email::MAX_BYTES));
    Password: text_schema("A password that is to be set: hard to guess, without control characters. A server may ask for more characters.", "tulip-gravel-onion")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(Password::MIN_CHARS))
        .max_length(Some(Password::MAX_CHARS));
    MailToken: text_schema("The token from the link in a mail. It works once.", "q7Lr0bVY2d5nXo3KcT9wJ1sEh8uGfAzM4iBpN6yQvRk").pattern(Some("^[A-Za-z0-9_-]{43}$"));
    MessageText: text_schema("The text of a message, of which something can be seen, without control characters but tab, line feed and carriage return.", "hello").min_length(Some(1)).max_length(Some(MessageText::MAX_CHARS));
    Timestamp: text_schema("An instant in UTC, to the millisecond.", "2026-11-23T12:50:00.000Z")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"));
    MessagesFrom: text_schema("Whose messages a person takes.", MessagesFrom::default().as_str())
        .enum_values(Some(MessagesFrom::ALL.map(MessagesFrom::as_str)));
    StoreKind: text_schema("Where a process keeps its data.", StoreKind::Embedded.as_str()).enum_values(Some(StoreKind::ALL.map(StoreKind::as_str)));
    ErrorCode: text_schema("What went wrong, as programs tell it apart.", ErrorCode::ValidationFailed.as_str())
        .enum_values(Some(ErrorCode::ALL.iter().map(|code| code.as_str())));
}

/// A text with an example.
#[must_use]
pub fn text_schema(description: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).examples([example])
}

/// A list of so many at most.
#[must_use]
pub fn at_most<T: ToSchema, const MAX: usize>() -> RefOr<Schema> {
    ArrayBuilder::new().items(reference::<T>()).max_items(Some(MAX)).into()
}

/// A whole number within limits.
#[must_use]
pub(super) fn whole_number(min: usize, max: usize, default: usize) -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max)).default(Some(default.into())).build()
}

/// A type by its name in the document.
#[must_use]
pub fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// A parameter that a request may lack.
#[must_use]
pub fn optional(name: &str, place: ParameterIn, schema: impl Into<RefOr<Schema>>, description: &str) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
    parameter.schema(Some(schema)).description(Some(description)).build()
}
