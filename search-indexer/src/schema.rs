//! What the index holds of a message.
//!
//! Nothing is stored: a hit is named by its conversation and ordinal, and hydrated from the read model.
//! What the index knows of a text are its terms and their positions, which is still enough to read it
//! back; so erasing a person needs a rebuild here as in every projection.
//!
//! | field | kind | for |
//! | --- | --- | --- |
//! | `id` | term | replacing and removing: tenant and message id |
//! | `tenant`, `conversation` | term, column | the permission filter, facets, naming hits |
//! | `user`, `type` | term, column | filters and facets |
//! | `ordinal` | column | naming hits |
//! | `sent_at` | column, milliseconds | the filter on time |
//! | `recorded_at` | column, milliseconds | newest first |
//! | `rank` | column | the same among messages of one millisecond, see [`rank`](crate::document::rank) |
//! | `text` | terms with positions, see [`text`](crate::text) | words and phrases |

use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TokenizerManager;

use crate::text::MessageTokenizer;

/// Changed whenever an index that was filled before would answer otherwise than one filled now: by
/// other fields, other words, other ranks. An index of another version is discarded.
pub(crate) const VERSION: u32 = 2;

pub(crate) const TENANT: &str = "tenant";
pub(crate) const CONVERSATION: &str = "conversation";
pub(crate) const USER: &str = "user";
pub(crate) const KIND: &str = "type";
pub(crate) const ORDINAL: &str = "ordinal";
pub(crate) const SENT_AT: &str = "sent_at";
pub(crate) const RECORDED_AT: &str = "recorded_at";
pub(crate) const RANK: &str = "rank";

const RAW: &str = "raw";
const WORDS: &str = "words";

/// The fields of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) id: Field,
    pub(crate) tenant: Field,
    pub(crate) conversation: Field,
    pub(crate) user: Field,
    pub(crate) kind: Field,
    pub(crate) ordinal: Field,
    pub(crate) sent_at: Field,
    pub(crate) recorded_at: Field,
    pub(crate) rank: Field,
    pub(crate) text: Field,
}

fn term() -> TextOptions {
    indexed(RAW, IndexRecordOption::Basic)
}

fn indexed(tokenizer: &str, record: IndexRecordOption) -> TextOptions {
    // Hits are ordered by rank, never scored, so no field needs norms.
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(record)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

/// The schema and its fields.
pub(crate) fn build() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let fields = Fields {
        id: schema.add_text_field("id", term()),
        tenant: schema.add_text_field(TENANT, term().set_fast(RAW)),
        conversation: schema.add_text_field(CONVERSATION, term().set_fast(RAW)),
        user: schema.add_text_field(USER, term().set_fast(RAW)),
        kind: schema.add_text_field(KIND, term().set_fast(RAW)),
        ordinal: schema.add_u64_field(ORDINAL, FAST),
        sent_at: schema.add_i64_field(SENT_AT, FAST),
        recorded_at: schema.add_u64_field(RECORDED_AT, FAST),
        rank: schema.add_u64_field(RANK, FAST),
        text: schema.add_text_field("text", indexed(WORDS, IndexRecordOption::WithFreqsAndPositions)),
    };
    (schema.build(), fields)
}

/// The tokenizers that the schema names, for whoever opens an index with tantivy alone.
#[must_use]
pub fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(WORDS, MessageTokenizer);
    tokenizers
}
