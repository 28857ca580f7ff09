// The documents that SpendOps publishes, read with care: one that is not what it should be is never guessed at.

const SCHEMA = 1;

export class Unreadable extends Error {}

const text = (value) => typeof value === "string";
const whole = Number.isSafeInteger;
const flag = (value) => typeof value === "boolean";
const object = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const oneOf = (...values) => (value) => values.includes(value);
const nothingOr = (check) => (value) => value === null || check(value);
const fields = (required, optional = {}) => (value) =>
  object(value) &&
  Object.entries(required).every(([name, check]) => Object.hasOwn(value, name) && check(value[name])) &&
  Object.entries(optional).every(([name, check]) => !Object.hasOwn(value, name) || check(value[name]));

const names = listOf(text);
const block = fields({ reason: text, message: text }, { budget: text, until: whole });

const KEY = fields(
  { rev: whole, env: text, tenant: text, project: text, key: text },
  {
    status: oneOf("active", "disabled", "revoked"),
    not_before: whole,
    expires: whole,
    allowed_models: names,
    denied_models: names,
    allowed_providers: names,
    denied_providers: names,
    networks: names,
    block: nothingOr(block),
    pricing: fields({}, { min_version: whole, tenant_version: whole }),
  },
);
const TENANT = fields(
  { rev: whole, env: text, tenant: text },
  { suspended: flag, stopped: (value) => object(value) && Object.values(value).every(text), block: nothingOr(block) },
);
const VERSION = fields({ schema: whole, version: whole });
const BLOB = fields({ schema: whole, version: whole, models: object, providers: object }, { order: names });

/** `key:{hash}` */
export const keyPolicy = (body) => read(body, KEY);

/** `tenant:{tid}`; null when nothing is said of the tenant */
export const tenantState = (body) => (body === null ? null : read(body, TENANT));

/** `pricing:version` */
export const pricingVersion = (body) => read(body, VERSION);

/** `pricing:blob` */
export const pricingBlob = (body) => read(body, BLOB);

function read(body, check) {
  let found;
  try {
    found = JSON.parse(body);
  } catch {
    throw new Unreadable("The document cannot be read: it is not JSON.");
  }
  if (!check(found)) throw new Unreadable("The document cannot be read: it has not the form that was agreed.");
  const schema = found.schema ?? SCHEMA; // left out where it is the first
  if (schema !== SCHEMA) throw new Unreadable(`The document has schema ${schema}; this gateway reads ${SCHEMA}.`);
  return found;
}
