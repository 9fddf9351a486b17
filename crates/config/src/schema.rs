//! Does a value have the shape of a JSON Schema? Every mistake, in the words of an operator.
//!
//! The `jsonschema` crate finds the mistakes; this module says them. Where a schema offers
//! alternatives, the mistakes of the alternative that was probably meant are reported, not the fact
//! that none of them fits. Values are repeated in messages, except where the schema expects a secret.

use jsonschema::{
    JsonType, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;
use throughline_event::{
    ByteSize, NAME_PATTERN, Path, SecretRef, Segment, Span, UnitError, Violation, Violations,
    suggest,
};

use crate::codes;

#[cfg(test)]
mod tests;
mod words;

/// A compiled schema.
#[derive(Debug)]
pub struct Shape {
    schema: Value,
    validator: Validator,
}

/// A schema of the program itself is not valid.
#[derive(Debug, thiserror::Error)]
#[error("the schema of the options is not valid: {0}")]
pub struct BadSchema(String);

impl Shape {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When `schema` is not a JSON Schema, which is a defect of the program.
    pub fn new(schema: Value) -> Result<Self, BadSchema> {
        let validator =
            jsonschema::options().build(&schema).map_err(|error| BadSchema(error.to_string()))?;
        Ok(Self { schema, validator })
    }

    /// Adds everything that is wrong with the shape of `value`, with paths that start at it.
    pub fn check(&self, value: &Value, found: &mut Violations) {
        for error in self.validator.iter_errors(value) {
            self.explain(&error, found);
        }
    }

    fn explain(&self, error: &ValidationError<'_>, found: &mut Violations) {
        let path = path_of(error);
        let value = error.instance();
        if self.expects_secret(error) {
            return found.add(
                codes::SECRET_LITERAL,
                path,
                "a secret stands in the file as its value",
                "keep the value elsewhere and write `${env:NAME}` or `${file:path}`",
            );
        }
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known = self.siblings(error);
                for key in unexpected {
                    let fix = suggest::instead_of(key, known.iter().copied(), "known keys");
                    found.add(
                        codes::UNKNOWN_KEY,
                        path.key(key),
                        format!("unknown key `{key}`"),
                        fix,
                    );
                }
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                found.add(
                    codes::MISSING_KEY,
                    path,
                    format!("`{key}` is missing"),
                    self.add_key(error, key),
                );
            }
            Kind::Type { .. } | Kind::AnyOf { .. }
                if value.is_number() && self.takes_unit(error) =>
            {
                let text = Value::from(value.to_string());
                let pattern = self.pattern_at(error).unwrap_or_default();
                found.push(pattern_violation(path, &text, pattern));
            }
            Kind::Type { kind } => {
                let (wanted, fix) = words::wanted_type(&types(kind), value);
                let message = format!("this must be {wanted}, and is {}", words::shown(value));
                found.add(codes::WRONG_TYPE, path, message, fix);
            }
            kind @ (Kind::Enum { .. } | Kind::Constant { .. }) => {
                not_one_of(path, value, &allowed(kind), found);
            }
            Kind::Pattern { pattern } => found.push(pattern_violation(path, value, pattern)),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.explain_best(path, value, context, found);
            }
            Kind::PropertyNames { error } => {
                let name = error.instance().as_str().unwrap_or_default().to_owned();
                let message = format!("`{name}` cannot be a name");
                found.add(codes::BAD_NAME, path.key(&name), message, words::NAME_FIX);
            }
            kind => {
                let (message, fix) = words::limit(kind).unwrap_or_else(|| {
                    (error.masked().to_string(), "see the reference page".into())
                });
                found.add(codes::OUT_OF_RANGE, path, message, fix);
            }
        }
    }

    /// Of several alternatives, explains the one that was probably meant: one whose type fits, and
    /// among those the one with the fewest mistakes.
    fn explain_best(
        &self,
        path: Path,
        value: &Value,
        alternatives: &[Vec<ValidationError<'static>>],
        found: &mut Violations,
    ) {
        let alternatives = flat(alternatives, &path);
        if let Some(options) = constants(&alternatives, &path) {
            return not_one_of(path, value, &options, found);
        }
        let other_type = |errors: &[ValidationError<'_>]| {
            errors.iter().any(|error| {
                let whole = matches!(
                    error.kind(),
                    Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. }
                );
                whole && path_of(error) == path
            })
        };
        let mistakes = |errors: &[ValidationError<'_>]| -> usize {
            errors
                .iter()
                .map(|error| match error.kind() {
                    Kind::AdditionalProperties { unexpected } => unexpected.len(),
                    _ => 1,
                })
                .sum()
        };
        let fitting = alternatives.iter().filter(|errors| !other_type(errors));
        if let Some(errors) = fitting.min_by_key(|errors| mistakes(errors)) {
            for error in *errors {
                self.explain(error, found);
            }
            return;
        }
        let here = || alternatives.iter().copied().flatten().filter(|error| path_of(error) == path);
        let names: Vec<Value> = here().flat_map(|error| allowed(error.kind())).collect();
        if value.is_string() && names.iter().any(Value::is_string) {
            return not_one_of(path, value, &names, found);
        }
        let types = here().filter_map(|error| match error.kind() {
            Kind::Type { kind } => Some(words::wanted_type(&types(kind), value).0),
            _ => None,
        });
        let mut wanted: Vec<String> =
            names.iter().map(|name| format!("`{}`", words::plain(name))).chain(types).collect();
        // The names are texts, so the type of their alternative adds nothing.
        wanted.retain(|one| one != words::NOTHING && (names.is_empty() || one != words::TEXT));
        wanted.dedup();
        let wanted = wanted.join(" or ");
        let message = format!("this must be {wanted}, and is {}", words::shown(value));
        found.add(codes::WRONG_TYPE, path, message, format!("write {wanted}"));
    }

    /// Whether the place at which the error lies takes a reference to a secret.
    fn expects_secret(&self, error: &ValidationError<'_>) -> bool {
        !matches!(error.kind(), Kind::Required { .. } | Kind::AdditionalProperties { .. })
            && self.pattern_at(error) == Some(SecretRef::PATTERN)
    }

    fn takes_unit(&self, error: &ValidationError<'_>) -> bool {
        matches!(self.pattern_at(error), Some(ByteSize::PATTERN | Span::PATTERN))
    }

    /// The pattern of the text that belongs where the error lies.
    fn pattern_at(&self, error: &ValidationError<'_>) -> Option<&str> {
        let schema = self.parent_schema(error)?;
        let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|k| schema.get(k)?.as_array());
        std::iter::once(schema)
            .chain(alternatives.flatten())
            .find_map(|schema| schema.get("pattern").and_then(Value::as_str))
    }

    /// The schema object whose keyword failed.
    fn parent_schema(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)
    }

    /// The keys that the map of an unknown key may have.
    fn siblings(&self, error: &ValidationError<'_>) -> Vec<&str> {
        self.parent_schema(error)
            .and_then(|schema| schema.get("properties"))
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// The fix for a missing key: its name and, where the schema gives one, an example.
    fn add_key(&self, error: &ValidationError<'_>, key: &str) -> String {
        let example = self
            .parent_schema(error)
            .and_then(|schema| schema.get("properties")?.get(key)?.get("examples")?.get(0))
            .map(words::plain);
        match example {
            Some(example) => format!("add it, for example `{key}: {example}`"),
            None => format!("add `{key}:`"),
        }
    }
}

/// Alternatives whose only mistake is that none of their own alternatives fits are replaced by these.
fn flat<'a>(
    alternatives: &'a [Vec<ValidationError<'static>>],
    path: &Path,
) -> Vec<&'a [ValidationError<'static>]> {
    let inner = |errors: &'a Vec<ValidationError<'static>>| match errors.as_slice() {
        [error] if path_of(error) == *path => match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => flat(context, path),
            _ => vec![errors.as_slice()],
        },
        errors => vec![errors],
    };
    alternatives.iter().flat_map(inner).collect()
}

/// The constants of an enumeration that schemars writes as alternatives with one constant each.
fn constants(alternatives: &[&[ValidationError<'static>]], path: &Path) -> Option<Vec<Value>> {
    let mut options = Vec::new();
    for errors in alternatives.iter().copied() {
        let [error] = errors else { return None };
        match error.kind() {
            kind @ (Kind::Constant { .. } | Kind::Enum { .. }) if path_of(error) == *path => {
                options.extend(allowed(kind));
            }
            Kind::Type { kind: TypeKind::Single(JsonType::Null) } => {}
            _ => return None,
        }
    }
    Some(options)
}

/// The values that an enumeration allows.
fn allowed(kind: &Kind) -> Vec<Value> {
    match kind {
        Kind::Constant { expected_value } => vec![expected_value.clone()],
        Kind::Enum { options } => options.as_array().cloned().unwrap_or_default(),
        _ => vec![],
    }
}

fn not_one_of(path: Path, value: &Value, options: &[Value], found: &mut Violations) {
    let names: Vec<String> =
        options.iter().filter(|option| !option.is_null()).map(words::plain).collect();
    let fix =
        suggest::instead_of(&words::plain(value), names.iter().map(String::as_str), "allowed");
    let message = format!("{} is not allowed here", words::shown(value));
    found.add(codes::NOT_ALLOWED, path, message, fix);
}

/// What is wrong with a text that does not match a pattern.
fn pattern_violation(path: Path, value: &Value, pattern: &str) -> Violation {
    let text = value.as_str().unwrap_or_default();
    let unit = |error: Option<UnitError>, units: &str| {
        let message = error.map_or_else(|| "this is not allowed".into(), |error| error.to_string());
        let example = words::unit_example(text, units);
        (codes::BAD_UNIT, message, format!("write a whole number and one of {units}{example}"))
    };
    let (code, message, fix) = match pattern {
        ByteSize::PATTERN => unit(text.parse::<ByteSize>().err(), ByteSize::UNITS),
        Span::PATTERN => unit(text.parse::<Span>().err(), Span::UNITS),
        NAME_PATTERN => {
            let message = format!("{} cannot be a name", words::shown(value));
            (codes::BAD_NAME, message, words::NAME_FIX.to_owned())
        }
        _ => {
            let message = format!("{} does not have the required form", words::shown(value));
            (codes::BAD_FORMAT, message, format!("it must match `{pattern}`"))
        }
    };
    Violation { code, path, message, fix }
}

fn types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(set) => set.into_iter().collect(),
    }
}

fn path_of(error: &ValidationError<'_>) -> Path {
    use jsonschema::paths::LocationSegment;
    error
        .instance_path()
        .iter()
        .map(|segment| match segment {
            LocationSegment::Property(key) => Segment::Key(key.into_owned()),
            LocationSegment::Index(index) => Segment::Index(index),
        })
        .collect()
}
