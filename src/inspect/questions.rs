//! What can be asked, as of version 0.19 of the protocol: names, parameters and answers are those of Bevy's `bevy_remote`.

use bevy::prelude::Name;
use bevy::reflect::serde::TypedReflectSerializer;
use bevy::reflect::{TypePath, TypeRegistry};
use bevy_ecs::entity::Entity;
use bevy_ecs::query::With;
use bevy_ecs::reflect::{AppTypeRegistry, ReflectComponent};
use bevy_ecs::world::{EntityRef, World};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::studio::Mirrored;

/// Why a question has no answer: a code of JSON-RPC's or of the protocol's own, and in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) message: String,
}

/// JSON-RPC 2.0 §5.1.
pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const INTERNAL_ERROR: i32 = -32603;
/// The protocol's own.
const ENTITY_NOT_FOUND: i32 = -23401;
const COMPONENT_ERROR: i32 = -23402;

const DISCOVER: &str = "rpc.discover";
const QUERY: &str = "world.query";
const LIST: &str = "world.list_components";
const GET: &str = "world.get_components";

impl Refusal {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Answers a question about the mirrored entities of `world`.
pub(super) fn answer(world: &mut World, method: &str, params: Value) -> Result<Value, Refusal> {
    let registry = world.resource::<AppTypeRegistry>().clone();
    let registry = registry.read();
    match method {
        DISCOVER => Ok(discover()),
        QUERY => query(world, &registry, read(params)?),
        LIST if params.is_null() => Ok(json!(known(&registry).map(|(path, _)| path).collect::<Vec<_>>())),
        LIST => {
            let OfEntity { entity, .. } = read(params)?;
            Ok(json!(components(find(world, entity)?, &registry).keys().collect::<Vec<_>>()))
        }
        GET => {
            let OfEntity { entity, components: wanted, strict } = read(params)?;
            get(&components(find(world, entity)?, &registry), wanted, strict)
        }
        other => Err(Refusal::new(
            METHOD_NOT_FOUND,
            format!("Method `{other}` not found: this program answers {DISCOVER}, {QUERY}, {LIST} and {GET}"),
        )),
    }
}

/// `world.get_components`, and `world.list_components` without what it does not have.
#[derive(Deserialize)]
struct OfEntity {
    /// As bits.
    entity: u64,
    #[serde(default)]
    components: Vec<String>,
    #[serde(default)]
    strict: bool,
}

/// `world.query`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Query {
    data: Data,
    filter: Filter,
    strict: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    components: Vec<String>,
    option: Selected,
    has: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    with: Vec<String>,
    without: Vec<String>,
}

/// `"all"`, or a list of paths.
#[derive(Deserialize)]
#[serde(untagged)]
enum Selected {
    Paths(Vec<String>),
    All(All),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum All {
    All,
}

impl Default for Selected {
    fn default() -> Self {
        Self::Paths(Vec::new())
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Refusal> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params).map_err(|error| Refusal::new(INVALID_PARAMS, error.to_string()))
}

fn find(world: &World, entity: u64) -> Result<EntityRef<'_>, Refusal> {
    let found = Entity::try_from_bits(entity).and_then(|entity| world.get_entity(entity).ok());
    let found = found.filter(EntityRef::contains::<Mirrored>);
    found.ok_or_else(|| Refusal::new(ENTITY_NOT_FOUND, format!("Entity {entity} not found")))
}

/// Components by their paths, and how they are read.
fn known(registry: &TypeRegistry) -> impl Iterator<Item = (&'static str, &ReflectComponent)> {
    registry.iter().filter_map(|known| {
        Some((known.type_info().type_path_table().path(), known.data::<ReflectComponent>()?))
    })
}

/// What an entity has that can be shown.
fn components(entity: EntityRef<'_>, registry: &TypeRegistry) -> Map<String, Value> {
    let shown = known(registry).filter_map(|(path, component)| {
        let value = component.reflect(entity)?;
        let value = serde_json::to_value(TypedReflectSerializer::new(value.as_partial_reflect(), registry));
        Some((path.to_owned(), value.ok()?))
    });
    // Names are written as the protocol's own crate writes them; by itself a name is not taken apart.
    let name = entity.get::<Name>().map(|name| (Name::type_path().to_owned(), Value::from(name.as_str())));
    shown.chain(name).collect()
}

fn query(world: &mut World, registry: &TypeRegistry, asked: Query) -> Result<Value, Refusal> {
    let Query { data, filter, strict } = asked;
    if strict {
        let needed = data.components.iter().chain(&data.has).chain(&filter.with).chain(&filter.without);
        let unknown = needed.filter(|path| registry.get_with_type_path(path).is_none()).collect::<Vec<_>>();
        if let Some(path) = unknown.first() {
            return Err(Refusal::new(
                COMPONENT_ERROR,
                format!("Component `{path}` isn't registered or used in the world"),
            ));
        }
    }
    let mut all = world.query_filtered::<EntityRef<'_>, With<Mirrored>>();
    let rows = all.iter(world).filter_map(|entity| {
        let has = components(entity, registry);
        let is_wanted = data.components.iter().chain(&filter.with).all(|path| has.contains_key(path))
            && !filter.without.iter().any(|path| has.contains_key(path));
        is_wanted.then(|| row(entity.id(), &has, &data))
    });
    Ok(rows.collect())
}

fn row(entity: Entity, has: &Map<String, Value>, data: &Data) -> Value {
    let is_shown = |path: &String| match &data.option {
        Selected::All(All::All) => true,
        Selected::Paths(paths) => paths.contains(path) || data.components.contains(path),
    };
    let shown = has.iter().filter(|(path, _)| is_shown(path));
    let mut row = json!({
        "entity": entity.to_bits(),
        "components": shown.map(|(path, value)| (path.clone(), value.clone())).collect::<Map<_, _>>(),
    });
    if !data.has.is_empty() {
        row["has"] =
            data.has.iter().map(|path| (path.clone(), Value::from(has.contains_key(path)))).collect();
    }
    row
}

fn get(has: &Map<String, Value>, wanted: Vec<String>, strict: bool) -> Result<Value, Refusal> {
    let (mut components, mut errors) = (Map::new(), Map::new());
    for path in wanted {
        match has.get(&path) {
            Some(value) => {
                components.insert(path, value.clone());
            }
            None => {
                let refusal = json!({"code": COMPONENT_ERROR, "message": format!("Component `{path}` not present in entity")});
                errors.insert(path, refusal);
            }
        }
    }
    match errors.iter().next().filter(|_| strict) {
        Some((path, _)) => {
            Err(Refusal::new(COMPONENT_ERROR, format!("Component `{path}` not present in entity")))
        }
        None if strict => Ok(Value::Object(components)),
        None => Ok(json!({"components": components, "errors": errors})),
    }
}

/// As much of an OpenRPC document as the protocol gives.
fn discover() -> Value {
    let methods = [DISCOVER, QUERY, LIST, GET].map(|name| json!({"name": name, "params": []}));
    json!({
        "openrpc": "1.3.2",
        "info": {"title": "Bevy Remote Protocol", "version": "0.19.0"},
        "methods": methods,
    })
}

#[cfg(test)]
mod tests {
    use bevy_app::App;

    use super::*;
    use crate::studio::{Mirror, Part, Readout, SessionTime, SoundDevice, register};

    const TIME: &str = "hyperzoom::SessionTime";
    const NAME: &str = "bevy_ecs::name::Name";

    fn world() -> App {
        let mut app = App::new();
        register(&mut app);
        app.world_mut().spawn(Name::new("none of theirs"));
        let device = SoundDevice { device: "usb".into(), rate: 48_000, channels: 2, period: None };
        let readouts = vec![
            Readout {
                name: "Clock".into(),
                parts: vec![Part::SessionTime(SessionTime { known: true, bound_ms: Some(0.5) })],
            },
            Readout { name: "Microphone".into(), parts: vec![Part::SoundDevice(device)] },
        ];
        Mirror::default().follow(app.world_mut(), readouts);
        app
    }

    fn ask(app: &mut App, method: &str, params: Value) -> Result<Value, i32> {
        answer(app.world_mut(), method, params).map_err(|refusal| refusal.code)
    }

    #[test]
    fn entities_are_found_by_what_they_have_and_shown_with_it() {
        let mut app = world();
        assert_eq!(ask(&mut app, QUERY, Value::Null).unwrap().as_array().unwrap().len(), 2);
        let all =
            ask(&mut app, QUERY, json!({"data": {"option": "all"}, "filter": {"with": [TIME]}})).unwrap();
        let [clock] = &all.as_array().unwrap()[..] else { panic!("{all:#}") };
        assert_eq!(clock["components"], json!({NAME: "Clock", TIME: {"known": true, "bound_ms": 0.5}}));
        let params = json!({"data": {"components": [NAME], "has": [TIME]}, "filter": {"without": [TIME]}});
        let others = ask(&mut app, QUERY, params).unwrap();
        assert_eq!(others[0]["components"], json!({NAME: "Microphone"}));
        assert_eq!((others[0]["has"].clone(), others[1].clone()), (json!({TIME: false}), Value::Null));
        let listed = ask(&mut app, LIST, json!({"entity": clock["entity"]})).unwrap();
        assert_eq!(listed, json!([NAME, TIME]));
        let got =
            ask(&mut app, GET, json!({"entity": clock["entity"], "components": [TIME, "no::Such"]})).unwrap();
        assert_eq!(
            (&got["components"][TIME]["known"], &got["errors"]["no::Such"]["code"]),
            (&json!(true), &json!(COMPONENT_ERROR))
        );
        assert!(ask(&mut app, LIST, Value::Null).unwrap().as_array().unwrap().len() >= 10);
        assert_eq!(ask(&mut app, DISCOVER, Value::Null).unwrap()["methods"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn what_makes_no_sense_and_what_is_an_order_is_refused() {
        let mut app = world();
        let mut others = app.world_mut().query_filtered::<Entity, bevy_ecs::query::Without<Mirrored>>();
        let other = others.iter(app.world()).next().unwrap();
        for (method, params, code) in [
            ("world.despawn_entity", json!({"entity": 1}), METHOD_NOT_FOUND),
            ("world.insert_components", json!({}), METHOD_NOT_FOUND),
            (GET, json!({}), INVALID_PARAMS),
            (GET, json!({"entity": u64::MAX, "components": []}), ENTITY_NOT_FOUND),
            (LIST, json!({"entity": other.to_bits()}), ENTITY_NOT_FOUND),
            (QUERY, json!({"filter": {"with": 3}}), INVALID_PARAMS),
            (QUERY, json!({"filter": {"with": ["no::Such"]}, "strict": true}), COMPONENT_ERROR),
        ] {
            assert_eq!(ask(&mut app, method, params.clone()), Err(code), "{method} {params}");
        }
        assert_eq!(ask(&mut app, QUERY, json!({"filter": {"with": ["no::Such"]}})), Ok(json!([])));
    }
}
