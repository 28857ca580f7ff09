// Cloudflare's REST paths for Workers KV, served over the real KV bindings of workerd.
//
// Storage, listing, cursors and expiry are workerd's. What belongs to the API in front of it is here: who may call, the
// envelope of answers and errors, the limits of one call. Paths under /peer are for the tests themselves.

const KV_PATH = /^\/client\/v4\/accounts\/([^/]+)\/storage\/kv\/namespaces(?:\/([^/]+)(?:\/(values|metadata|keys|bulk)(?:\/(.+))?)?)?$/;
const LIMITS = { key: 512, metadata: 1024, value: 25 * 2 ** 20, pairs: 10_000, body: 100 * 10 ** 6, read: 100, life: 60 };
const TOGETHER = 100; // writes of one bulk call that are under way at once

const calls = new Map();
const bytes = (text) => new TextEncoder().encode(text).length;

class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

const envelope = (result, more = {}) => Response.json({ success: true, errors: [], messages: [], result, ...more });

function refusal(error) {
  const errors = [{ code: error.code, message: error.message }];
  return Response.json({ success: false, errors, messages: [], result: null }, { status: error.status });
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    // read whole in any case: a connection whose request was left unread is cut, and the answer with it
    const body = request.body === null ? new ArrayBuffer(0) : await request.arrayBuffer();
    if (url.pathname.startsWith("/peer/")) return peer(url, request, body, env);
    try {
      return await serve(url, request, body, env);
    } catch (error) {
      if (error instanceof Refused) return refusal(error);
      throw error;
    }
  },
};

async function peer(url, request, body, env) {
  const [, , what, name, ...rest] = url.pathname.split("/");
  if (what === "calls") return Response.json(Object.fromEntries(calls));
  if (what === "empty") {
    for (const { binding } of Object.values(env.NAMESPACES)) {
      for (;;) {
        const { keys, list_complete } = await env[binding].list();
        await Promise.all(keys.map(({ name: key }) => env[binding].delete(key)));
        if (list_complete) break;
      }
    }
    return new Response(null, { status: 204 });
  }
  if (what === "edge" && env[`EDGE_${name.toUpperCase()}`]) {
    const there = new URL(`/${rest.join("/")}${url.search}`, url);
    const { method, headers } = request;
    return env[`EDGE_${name.toUpperCase()}`].fetch(there, { method, headers, body: body.byteLength ? body : undefined });
  }
  return new Response("The peer has no such path.", { status: 404 });
}

async function serve(url, request, body, env) {
  const found = KV_PATH.exec(url.pathname);
  if (!found) throw new Refused(404, 7003, `Could not route to ${url.pathname}, perhaps your object identifier is invalid?`);
  const [, account, id, kind, rest] = found;
  const { method } = request;
  authorise(request, account, env);
  const name = kind === "bulk" && rest ? `bulk/${rest}` : (kind ?? "namespaces");
  calls.set(name, (calls.get(name) ?? 0) + 1);
  if (body.byteLength > LIMITS.body) throw new Refused(413, 10033, "request body too large");
  if (!id) return namespaces(url, env);
  const namespace = env.NAMESPACES[id];
  if (!namespace) throw new Refused(404, 10013, `${method.toLowerCase()}: 'namespace not found'`);
  const kv = env[namespace.binding];
  const route = `${method} ${kind ?? ""}${kind === "bulk" && rest ? `/${rest}` : ""}`;
  switch (route) {
    case "GET ":
      return envelope({ id, title: namespace.title });
    case "GET keys":
      return keys(url, kv);
    case "GET values": {
      const value = await kv.get(decoded(rest), "arrayBuffer");
      if (value === null) throw new Refused(404, 10009, "get: 'key not found'");
      return new Response(value, { headers: { "content-type": "application/octet-stream" } });
    }
    case "GET metadata": {
      const { value, metadata } = await kv.getWithMetadata(decoded(rest), "arrayBuffer");
      if (value === null) throw new Refused(404, 10009, "get: 'key not found'");
      return envelope(metadata);
    }
    case "PUT values":
      await put(kv, pair({ key: decoded(rest), value: body, ...Object.fromEntries(url.searchParams) }));
      return envelope(null);
    case "DELETE values":
      await kv.delete(decoded(rest));
      return envelope(null);
    case "PUT bulk":
      return bulk(list(body, LIMITS.pairs).map(fromJson), (each) => put(kv, each));
    case "POST bulk/delete":
      return bulk(list(body, LIMITS.pairs).map(usable), (key) => kv.delete(key));
    case "POST bulk/get":
      return bulkGet(parsed(body), kv);
    default:
      throw new Refused(405, 10405, "Method not allowed for this authentication scheme");
  }
}

function authorise(request, account, env) {
  const header = request.headers.get("authorization");
  if (header === null) throw new Refused(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers");
  const token = /^Bearer ([A-Za-z0-9_-]{16,})$/.exec(header)?.[1];
  if (!token) throw new Refused(400, 6003, "Invalid request headers");
  const { full, reading } = env.TOKENS;
  if (token !== full && token !== reading) throw new Refused(401, 10000, "Authentication error");
  if (account !== env.ACCOUNT) throw new Refused(403, 10000, "Authentication error");
  const changes = request.method !== "GET" && !request.url.endsWith("/bulk/get");
  if (changes && token === reading) throw new Refused(403, 10000, "Authentication error");
}

function namespaces(url, env) {
  const number = (name, otherwise) => Number(url.searchParams.get(name) ?? otherwise);
  const [page, size] = [number("page", 1), number("per_page", 20)];
  const all = Object.entries(env.NAMESPACES).map(([id, { title }]) => ({ id, title, supports_url_encoding: true }));
  const part = all.slice((page - 1) * size, page * size);
  return envelope(part, { result_info: { count: part.length, page, per_page: size, total_count: all.length } });
}

async function keys(url, kv) {
  const limit = Number(url.searchParams.get("limit") ?? 1000);
  if (!(limit >= 10 && limit <= 1000)) throw new Refused(400, 10028, "list keys: 'limit must be between 10 and 1000'");
  const cursor = url.searchParams.get("cursor") || undefined;
  const found = await kv.list({ prefix: url.searchParams.get("prefix") || undefined, cursor, limit });
  return envelope(found.keys, { result_info: { count: found.keys.length, cursor: found.cursor ?? "" } });
}

// A bulk call is looked at whole first: one that is refused changes nothing.
async function bulk(elements, apply) {
  for (let start = 0; start < elements.length; start += TOGETHER) {
    await Promise.all(elements.slice(start, start + TOGETHER).map(apply));
  }
  return envelope({ successful_key_count: elements.length, unsuccessful_keys: [] });
}

async function bulkGet({ keys: wanted, type = "text", withMetadata = false }, kv) {
  if (!Array.isArray(wanted) || wanted.length > LIMITS.read) {
    throw new Refused(400, 10033, `bulk get: 'you can request a maximum of ${LIMITS.read} keys'`);
  }
  const values = {};
  let size = 0;
  for (const key of wanted) {
    const { value, metadata } = await kv.getWithMetadata(usable(key), type);
    size += value === null ? 0 : bytes(type === "json" ? JSON.stringify(value) : value);
    if (size > LIMITS.value) throw new Refused(413, 10047, "bulk get: 'the values are larger than 25 MiB together'");
    if (value === null) values[key] = null;
    else values[key] = withMetadata ? { value, metadata } : value;
  }
  return envelope({ values });
}

function fromJson(element) {
  if (typeof element?.value !== "string") throw new Refused(400, 10012, "bulk put: 'value must be a string'");
  const value = element.base64 ? Uint8Array.from(atob(element.value), (letter) => letter.charCodeAt(0)).buffer : element.value;
  return pair({ ...element, value });
}

// A pair that may be written, with the options that the binding knows.
function pair({ key, value, metadata, expiration, expiration_ttl }) {
  usable(key);
  const size = typeof value === "string" ? bytes(value) : value.byteLength;
  if (size > LIMITS.value) throw new Refused(413, 10047, `put: 'value exceeds the limit of ${LIMITS.value} bytes'`);
  if (metadata !== undefined && bytes(JSON.stringify(metadata)) > LIMITS.metadata) {
    throw new Refused(400, 10047, `put: 'metadata exceeds the limit of ${LIMITS.metadata} bytes'`);
  }
  const options = metadata === undefined ? {} : { metadata };
  if (expiration_ttl !== undefined) options.expirationTtl = Number(expiration_ttl);
  else if (expiration !== undefined) options.expiration = Number(expiration);
  const life = options.expirationTtl ?? (options.expiration === undefined ? undefined : options.expiration - Date.now() / 1000);
  if (life !== undefined && !(life >= LIMITS.life)) {
    throw new Refused(400, 10033, `put: 'expiration must be at least ${LIMITS.life} seconds in the future'`);
  }
  return { key, value, options };
}

const put = (kv, { key, value, options }) => kv.put(key, value, options);

function usable(key) {
  if (typeof key !== "string" || key === "" || key === "." || key === "..") {
    throw new Refused(400, 10014, "key name is not valid");
  }
  if (bytes(key) > LIMITS.key) {
    throw new Refused(414, 10030, `UTF-8 encoded length of ${bytes(key)} exceeds key length limit of ${LIMITS.key}.`);
  }
  return key;
}

function decoded(part) {
  try {
    return usable(decodeURIComponent(part ?? ""));
  } catch (error) {
    if (error instanceof URIError) throw new Refused(400, 10014, "key name is not valid");
    throw error;
  }
}

function parsed(body) {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new Refused(400, 10012, "the request body is not valid JSON");
  }
}

function list(body, most) {
  const found = parsed(body);
  if (!Array.isArray(found)) throw new Refused(400, 10012, "the request body must be a list");
  if (found.length > most) throw new Refused(400, 10033, `too many keys: ${most} at most`);
  return found;
}
