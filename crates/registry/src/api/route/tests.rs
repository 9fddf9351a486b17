use axum::http::Method;

use super::Route;
use crate::ids::{SchemaId, Subject, Version};
use crate::state::VersionSpec;

fn found(method: &Method, path: &[&str]) -> Result<Route, u16> {
    Route::find(method, path).map_err(|error| error.code())
}

#[test]
fn paths_lead_to_their_routes() {
    let subject = Subject::parse("a/b").unwrap();
    let cases = [
        (Method::GET, &["schemas", "ids", "7"][..], Route::Schema(SchemaId(7))),
        (Method::HEAD, &["subjects"], Route::Subjects),
        (Method::POST, &["subjects", "a/b"], Route::Lookup(subject.clone())),
        (
            Method::DELETE,
            &["subjects", "a/b", "versions", "latest"],
            Route::DeleteVersion(subject.clone(), VersionSpec::Latest),
        ),
        (
            Method::GET,
            &["subjects", ":.:a/b", "versions", "3"],
            Route::Version(subject.clone(), VersionSpec::Number(Version(3))),
        ),
        (Method::PUT, &["config"], Route::SetConfig(None)),
        (Method::DELETE, &["mode", "a/b"], Route::UnsetMode(Some(subject))),
    ];
    for (method, path, route) in cases {
        assert_eq!(found(&method, path), Ok(route), "{method} {path:?}");
    }
}

#[test]
fn what_is_no_route_is_refused_with_its_code() {
    let cases = [
        (Method::GET, &["nope"][..], 404),
        (Method::GET, &["schemas", "ids", "x"], 404),
        (Method::GET, &["schemas", "ids", "99999999999"], 40403),
        (Method::GET, &["schemas", "guids", "x"], 40403),
        (Method::POST, &["schemas", "types"], 405),
        (Method::PATCH, &["subjects", "a"], 405),
        (Method::GET, &["subjects", "a", "versions", "0"], 42202),
        (Method::GET, &["subjects", "a", "versions", "2147483648"], 42202),
        (Method::GET, &["subjects", "", "versions"], 42208),
        (Method::GET, &["subjects", ":.ctx:a", "versions"], 42208),
        (Method::GET, &["subjects", "a\nb", "versions"], 42208),
        (Method::GET, &["config", "a", "b"], 404),
        (Method::GET, &["associations", "resources", "-", "t"], 404),
    ];
    for (method, path, code) in cases {
        assert_eq!(found(&method, path), Err(code), "{method} {path:?}");
    }
}
