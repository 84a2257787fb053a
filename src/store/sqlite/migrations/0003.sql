-- The hash of the token that a mail began with, and how many attempts may have delivered it.
ALTER TABLE mail ADD COLUMN begun BLOB CHECK (length(begun) = 32);
ALTER TABLE mail ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;
