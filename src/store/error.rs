//! How a store fails, told by what the caller may assume.

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure of the store itself. What a rule of the contract refuses is not an error but a variant of the result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is not ready. Nothing was changed.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// Too many operations are waiting already. Nothing was changed.
    #[error("the store is overloaded")]
    Overloaded,
    /// The answer to a change was lost or late: it may or may not have happened. Repeating it is safe.
    #[error("the outcome of a change is unknown")]
    OutcomeUnknown(#[source] Cause),
    /// No space is left. Nothing was changed; reads go on.
    #[error("the storage is full")]
    Full(#[source] Cause),
    /// A record does not decode, or the database refused what it should have accepted: a defect, here or in the data.
    #[error("the store failed")]
    Broken(#[source] Cause),
}

impl StoreError {
    /// The name of its kind, for those who count failures.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Overloaded => "overloaded",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::Full(_) => "full",
            Self::Broken(_) => "broken",
        }
    }

    /// A failure in which nothing was changed.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// A failure after which a change may or may not have happened.
    pub fn outcome_unknown(cause: impl Into<Cause>) -> Self {
        Self::OutcomeUnknown(cause.into())
    }

    /// The same failure of a further step of a change: that the step has changed nothing is not true of the whole.
    pub(super) fn after_a_change(self) -> Self {
        match self {
            Self::Unavailable(_) | Self::Overloaded | Self::Full(_) => Self::OutcomeUnknown(self.into()),
            Self::OutcomeUnknown(_) | Self::Broken(_) => self,
        }
    }

    /// A failure that no repetition mends.
    pub fn broken(cause: impl Into<Cause>) -> Self {
        Self::Broken(cause.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_after_a_change_tells_that_nothing_was_changed() {
        let failures = [
            StoreError::unavailable("away"),
            StoreError::Overloaded,
            StoreError::Full("full".into()),
            StoreError::outcome_unknown("lost"),
            StoreError::broken("defect"),
        ];
        for failure in failures.map(StoreError::after_a_change) {
            assert!(matches!(failure, StoreError::OutcomeUnknown(_) | StoreError::Broken(_)), "{failure:?}");
        }
    }
}
