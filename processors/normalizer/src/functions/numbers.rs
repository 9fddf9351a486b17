//! Exact money and quantities: text in, integers out; nothing is rounded unless the mapping says how.

use throughline_event::{Decimal, MoneyError, Quantity, Rounding, currency_exponent};
use vrl::compiler::Parameter;
use vrl::compiler::prelude::{Collection, Field, Kind, kind};

use super::exact::{Answer, Arguments, Exact, optional_text, text};
use crate::value::vocabulary::{MONEY, QUANTITY, known};
use crate::value::{Scope, Value};

const TEXT: u16 = kind::BYTES | kind::INTEGER;

/// The functions of this module.
pub(super) const FUNCTIONS: &[Exact] = &[
    Exact {
        identifier: "to_money",
        usage: "Reads an amount at the currency's own scale: to_money!(text, currency, rounding). \
                The rounding is exact (refuse more digits), half_up, half_even or down.",
        parameters: &[
            Parameter::required("text", TEXT, "Digits with an optional sign and point."),
            Parameter::required("currency", kind::BYTES, "ISO 4217 code."),
            Parameter::optional("rounding", kind::BYTES, "exact when it is not given."),
        ],
        return_kind: kind::OBJECT,
        returns: money_kind,
        fallible: true,
        call: to_money,
    },
    Exact {
        identifier: "to_quantity",
        usage: "Reads a quantity: to_quantity!(text, unit, scale, rounding). Without more than the \
                text it is a whole number of pieces.",
        parameters: &[
            Parameter::required("text", TEXT, "Digits with an optional sign and point."),
            Parameter::optional("unit", kind::BYTES, "UN/ECE Recommendation 20 code."),
            Parameter::optional("scale", kind::INTEGER, "Digits after the point."),
            Parameter::optional("rounding", kind::BYTES, "exact when it is not given."),
        ],
        return_kind: kind::OBJECT,
        returns: quantity_kind,
        fallible: true,
        call: to_quantity,
    },
    Exact {
        identifier: "sum_money",
        usage: "The sum of amounts of one currency: sum_money!(items, currency, field). With a \
                field, the items are objects and the amount stands in that field of each.",
        parameters: &[
            Parameter::required("items", kind::ARRAY, "Amounts, or objects that hold one."),
            Parameter::required("currency", kind::BYTES, "The currency of all of them."),
            Parameter::optional("field", kind::BYTES, "The field that holds the amount."),
        ],
        return_kind: kind::OBJECT,
        returns: money_kind,
        fallible: true,
        call: sum_money,
    },
    Exact {
        identifier: "multiply_money",
        usage: "An amount times a quantity or a whole number, at the amount's own scale: \
                multiply_money!(money, quantity, rounding).",
        parameters: &[
            Parameter::required("money", kind::OBJECT, "The amount."),
            Parameter::required("quantity", kind::OBJECT | kind::INTEGER, "How many."),
            Parameter::optional("rounding", kind::BYTES, "exact when it is not given."),
        ],
        return_kind: kind::OBJECT,
        returns: money_kind,
        fallible: true,
        call: multiply_money,
    },
    Exact {
        identifier: "negate_money",
        usage: "The amount with the other sign: negate_money!(money).",
        parameters: &[Parameter::required("money", kind::OBJECT, "The amount.")],
        return_kind: kind::OBJECT,
        returns: money_kind,
        fallible: true,
        call: negate_money,
    },
];

fn money_kind() -> Kind {
    Kind::object(Collection::from(std::collections::BTreeMap::from([
        (Field::from("currency"), Kind::bytes()),
        (Field::from("scale"), Kind::integer()),
        (Field::from("unscaled"), Kind::integer()),
    ])))
}

fn quantity_kind() -> Kind {
    Kind::object(Collection::from(std::collections::BTreeMap::from([
        (Field::from("scale"), Kind::integer()),
        (Field::from("steps"), Kind::integer()),
        (Field::from("unit"), Kind::bytes()),
    ])))
}

fn money_value<'a>(money: &Amount, currency: Value<'a>, scope: Scope<'a>) -> Value<'a> {
    let scale = Value::Integer(i64::from(money.scale));
    let values = [currency, scale, Value::Integer(money.unscaled)];
    scope.object(MONEY, scope.arena.alloc(values))
}

/// The largest scale of an amount.
const MAX_SCALE: i32 = 18;

/// A number without its currency or unit.
struct Amount {
    unscaled: i64,
    scale: i32,
}

fn rounding(arguments: &Arguments<'_>, at: usize) -> Result<Rounding, String> {
    match optional_text(arguments, at, "rounding")? {
        None => Ok(Rounding::Exact),
        Some(name) => Rounding::from_name(name).ok_or_else(|| {
            format!("rounding {name:?} is not one of exact, half_up, half_even, down")
        }),
    }
}

/// Digits from text or from an integer.
fn digits<'a>(arguments: &Arguments<'a>) -> Result<std::borrow::Cow<'a, str>, String> {
    match &arguments[0] {
        Some(Value::Integer(number)) => Ok(number.to_string().into()),
        _ => text(arguments, 0, "the number").map(Into::into),
    }
}

fn to_money<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let currency = text(arguments, 1, "currency")?;
    let digits = digits(arguments)?;
    let rounding = rounding(arguments, 2)?;
    // As `Money::parse` does it, without a copy of the currency.
    let parsed = match currency_exponent(currency) {
        Some(scale) => Decimal::parse_at(&digits, scale, rounding).map_err(MoneyError::from),
        None => Err(MoneyError::Currency { code: currency.chars().take(10).collect() }),
    };
    let money = parsed.map_err(|error| error.to_string())?;
    let amount = Amount { unscaled: money.unscaled, scale: money.scale as i32 };
    Ok(money_value(&amount, argument(arguments, 1), scope))
}

fn to_quantity<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let unit = optional_text(arguments, 1, "unit")?.unwrap_or("C62");
    let scale = match &arguments[2] {
        None | Some(Value::Null) => 0,
        Some(value) => value
            .as_integer()
            .and_then(|scale| u32::try_from(scale).ok())
            .ok_or("scale is not a number from 0 to 18")?,
    };
    let quantity = Quantity::parse(&digits(arguments)?, unit, scale, rounding(arguments, 3)?)
        .map_err(|error| error.to_string())?;
    let scale = Value::Integer(i64::from(quantity.scale));
    let values = [scale, Value::Integer(quantity.steps), scope.borrowed(unit)];
    Ok(scope.object(QUANTITY, scope.arena.alloc(values)))
}

fn sum_money<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let currency = text(arguments, 1, "currency")?;
    let field = optional_text(arguments, 2, "field")?;
    let exponent = currency_exponent(currency)
        .ok_or_else(|| format!("{currency:?} is not an ISO 4217 currency code"))?;
    let items = arguments[0].as_ref().and_then(Value::as_array).ok_or("items is not a list")?;
    let mut sum = Amount { unscaled: 0, scale: exponent as i32 };
    for (at, item) in items.iter().enumerate() {
        let item = match field {
            Some(field) => item.as_object().and_then(|object| object.find(field)),
            None => Some(*item),
        };
        let item = item.ok_or_else(|| format!("item {at} has no such field"))?;
        let (amount, its) = read_money(item).ok_or_else(|| format!("item {at} is no money"))?;
        if its != currency {
            return Err(format!("item {at} is {its}, not {currency}"));
        }
        sum = add(&sum, &amount).ok_or("the sum is beyond 64 bits")?;
    }
    Ok(money_value(&sum, argument(arguments, 1), scope))
}

fn multiply_money<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let money = arguments[0].ok_or("money is missing")?;
    let (amount, _) = read_money(money).ok_or("money is no money")?;
    let (steps, scale) = match arguments[1] {
        Some(Value::Integer(steps)) => (steps, 0),
        Some(quantity) => read_quantity(quantity).ok_or("quantity is no quantity")?,
        None => return Err("quantity is missing".to_owned()),
    };
    let product = i128::from(amount.unscaled) * i128::from(steps);
    let exact = scale == 0 && (0..=MAX_SCALE).contains(&amount.scale);
    if let (Ok(unscaled), true) = (i64::try_from(product), exact) {
        rounding(arguments, 2)?;
        let amount = Amount { unscaled, scale: amount.scale };
        return Ok(money_value(&amount, currency_of(money), scope));
    }
    // The exact product has the digits of both; as text it goes through the one rounding there is.
    let exact = format!("{product}e-{}", i64::from(amount.scale) + i64::from(scale));
    let scale = u32::try_from(amount.scale).map_err(|_| "money has a negative scale")?;
    let rounded = Decimal::parse_at(&exact, scale, rounding(arguments, 2)?)
        .map_err(|error| error.to_string())?;
    let amount = Amount { unscaled: rounded.unscaled, scale: amount.scale };
    Ok(money_value(&amount, currency_of(money), scope))
}

fn negate_money<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let money = arguments[0].ok_or("money is missing")?;
    let (amount, _) = read_money(money).ok_or("money is no money")?;
    let unscaled = amount.unscaled.checked_neg().ok_or("the amount is beyond 64 bits")?;
    Ok(money_value(&Amount { unscaled, scale: amount.scale }, currency_of(money), scope))
}

fn argument<'a>(arguments: &Arguments<'a>, at: usize) -> Value<'a> {
    arguments[at].unwrap_or(Value::Null)
}

fn currency_of(money: Value<'_>) -> Value<'_> {
    money.as_object().and_then(|money| money.get(&known::CURRENCY)).unwrap_or(Value::Null)
}

fn read_money(value: Value<'_>) -> Option<(Amount, &str)> {
    let object = value.as_object()?;
    let unscaled = object.get(&known::UNSCALED)?.as_integer()?;
    let scale = i32::try_from(object.get(&known::SCALE)?.as_integer()?).ok()?;
    Some((Amount { unscaled, scale }, object.get(&known::CURRENCY)?.as_text()?))
}

fn read_quantity(value: Value<'_>) -> Option<(i64, i32)> {
    let object = value.as_object()?;
    let scale = match object.get(&known::SCALE) {
        Some(scale) => i32::try_from(scale.as_integer()?).ok()?,
        None => 0,
    };
    Some((object.get(&known::STEPS)?.as_integer()?, scale))
}

fn add(a: &Amount, b: &Amount) -> Option<Amount> {
    let scale = a.scale.max(b.scale);
    let at = |amount: &Amount| {
        let up = u32::try_from(scale - amount.scale).ok()?;
        i128::from(amount.unscaled).checked_mul(10_i128.checked_pow(up)?)
    };
    let unscaled = i64::try_from(at(a)?.checked_add(at(b)?)?).ok()?;
    Some(Amount { unscaled, scale })
}
