// API keys: `so_<env>_<id12>_<secret43><crc6>`, base62. A policy stands under HMAC-SHA256(pepper, SHA-256(key)).

const PATTERN = /^so_([a-z]{2,16})_([0-9A-Za-z]{12})_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/;
const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM_LENGTH = 6;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

const bytes = (text) => new TextEncoder().encode(text);

/** The hash under which a key's policy stands, as 64 hexadecimal digits. */
export async function keyHash(key, pepper) {
  const secret = await crypto.subtle.importKey("raw", bytes(pepper), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const digest = await crypto.subtle.digest("SHA-256", bytes(key));
  const hash = await crypto.subtle.sign("HMAC", secret, digest);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The environment and the public id of a key whose form and checksum are right; null for anything else. */
export function parseKey(key) {
  const match = PATTERN.exec(key);
  if (!match || checksum(key.slice(0, -CHECKSUM_LENGTH)) !== key.slice(-CHECKSUM_LENGTH)) return null;
  return { env: match[1], publicId: match[2] };
}

function checksum(text) {
  let crc = 0xffffffff;
  for (const byte of bytes(text)) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  let number = (crc ^ 0xffffffff) >>> 0;
  let digits = "";
  for (let place = 0; place < CHECKSUM_LENGTH; place++) {
    digits = BASE62[number % 62] + digits;
    number = Math.floor(number / 62);
  }
  return digits;
}
