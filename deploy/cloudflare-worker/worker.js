// A reference for Workers at Cloudflare's edge: may this call be made, and what did it cost?
//
// It reads the documents that SpendOps publishes into a Workers KV namespace and comes to the same decisions and
// amounts as SpendOps' own gateway; tests/contract holds both against the same cases. See README.md.

import { cost } from "./cost.js";
import { Unreadable, keyPolicy, pricingBlob, pricingVersion, tenantState } from "./documents.js";
import { keyHash, parseKey } from "./keys.js";
import { PriceBook, contextOf } from "./prices.js";
import { HTTP_STATUS, Refusal, decide, wrongEnvironment } from "./rules.js";

const PEPPERS = ["", ...Array.from({ length: 8 }, (_, index) => `_V${index + 2}`)].map((end) => `SPENDOPS_KEY_PEPPER${end}`);

const LAST_MOMENT = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

// The price book in force, kept for as long as `pricing:version` says the same: parsing it takes milliseconds.
let held = { announced: null, book: null };

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST" || pathname !== "/decide") {
      return problem(404, "There is only POST /decide.");
    }
    let asked;
    try {
      asked = question(await request.json());
    } catch (error) {
      return problem(400, error instanceof SyntaxError ? "The body is not JSON." : error.message);
    }
    const peppers = PEPPERS.map((name) => env[name]).filter(Boolean).reverse(); // the newest first
    if (!env.SPENDOPS_ENV || peppers.length === 0) {
      return problem(500, "Set SPENDOPS_ENV, and the secret SPENDOPS_KEY_PEPPER to that of your installation.");
    }
    try {
      return Response.json(await answer(asked, env.SPENDOPS_KV, env.SPENDOPS_ENV, peppers));
    } catch (error) {
      if (error instanceof Refusal) return Response.json(refused(error));
      throw error;
    }
  },
};

// What decides, and throws a Refusal.
async function answer(asked, kv, env, peppers) {
  if (!asked.key) {
    throw new Refusal("key_missing", "No API key was sent. Send it as 'Authorization: Bearer …' or 'x-api-key: …'.");
  }
  const [policy, book] = await Promise.all([policyOf(asked.key, kv, env, peppers), currentBook(kv)]);
  const tenant = await understood(async () => tenantState(await kv.get(`tenant:${policy.tenant}`)));
  const refusal = decide(policy, tenant, asked, { env, now: asked.now, address: asked.address });
  if (refusal) throw refusal;
  if ((policy.pricing?.min_version ?? 0) > (book?.version ?? 0)) {
    throw new Refusal("policy_unavailable", "This key's prices have not arrived yet. Try again shortly.");
  }
  return { allowed: true, reason: "", http_status: 200, message: "", ...priced(asked, book) };
}

// The policy of a key, which stands under the pepper that it was issued with.
async function policyOf(key, kv, env, peppers) {
  for (const pepper of peppers) {
    const text = await kv.get(`key:${await keyHash(key, pepper)}`);
    if (text !== null) return understood(async () => keyPolicy(text));
  }
  const parsed = parseKey(key);
  if (!parsed) throw new Refusal("key_malformed", "This is not a SpendOps API key: check that it was copied whole.");
  if (parsed.env !== env) throw new Refusal("key_wrong_environment", wrongEnvironment(parsed.env, env));
  throw new Refusal("key_unknown", "This API key is not known.");
}

// Nobody is let in by guessing what a document means.
async function understood(read) {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw new Refusal("policy_unavailable", `The policy of this API key cannot be used: ${error.message}`);
  }
}

// `pricing:version` is written after the blob that it names, and may be seen before it: until then the prices stay.
async function currentBook(kv) {
  const announced = await kv.get("pricing:version");
  if (announced === null || announced === held.announced) return held.book;
  try {
    const blob = pricingBlob(await kv.get("pricing:blob"));
    if (blob.version >= pricingVersion(announced).version) held = { announced, book: new PriceBook(blob) };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    console.error(`The prices in force stay: ${error.message}`);
  }
  return held.book;
}

function priced(asked, book) {
  const found = book?.find(asked.provider, asked.model) ?? null;
  const version = book?.version ?? 0;
  if (!found) {
    const free = Object.keys(asked.units).length === 0; // a call that used nothing costs nothing, priced or not
    return { cost_pico: free ? "0" : null, price_version: version, model_priced: "", unpriced: [] };
  }
  const { total, unpriced } = cost(asked.units, found.pricesAt(asked.now, contextOf(asked.service_tier)));
  return { cost_pico: total === null ? null : String(total), price_version: version, model_priced: found.pricedAs, unpriced };
}

function refused({ reason, message }) {
  return { allowed: false, reason, http_status: HTTP_STATUS[reason], message, cost_pico: null, price_version: null };
}

function question(body) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw new Error("The body must be a JSON object.");
  const texts = ["key", "provider", "model", "address", "service_tier"];
  const asked = { key: "", provider: "", model: "", address: "", service_tier: "", also: [], units: {}, now: Date.now(), ...body };
  for (const name of texts) {
    if (typeof asked[name] !== "string") throw new Error(`The field '${name}' must be a text.`);
  }
  if (!Array.isArray(asked.also) || asked.also.some((model) => typeof model !== "string")) {
    throw new Error("The field 'also' must be a list of models.");
  }
  if (!Number.isSafeInteger(asked.now) || asked.now < 0 || asked.now > LAST_MOMENT) {
    throw new Error("The field 'now' must be a time in milliseconds since 1970.");
  }
  if (asked.units === null || typeof asked.units !== "object" || Array.isArray(asked.units)) {
    throw new Error("The field 'units' must be an object of counts.");
  }
  for (const [unit, count] of Object.entries(asked.units)) {
    if (!Number.isSafeInteger(count) || count < 0) throw new Error(`A call cannot use ${count} of ${unit}.`);
  }
  return asked;
}

const problem = (status, detail) => Response.json({ status, detail }, { status });
