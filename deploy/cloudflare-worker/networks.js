// Whether an address is in one of several networks (CIDR notation), for IPv4 and IPv6.

const MAPPED = 0xffffn; // what stands before the 32 bits of an IPv4 address inside an IPv6 address

/** An address that is none is in no network, and a network that cannot be read lets nobody in. */
export function within(networks, text) {
  const client = plain(address(text));
  if (!client) return false;
  return networks.some((each) => {
    const network = parsedNetwork(each);
    if (!network || network.bits !== client.bits) return false;
    const host = BigInt(network.bits - network.prefix);
    return client.number >> host === network.number >> host;
  });
}

function parsedNetwork(text) {
  const [base, prefixText, ...more] = text.split("/");
  const found = address(base);
  if (!found || more.length) return null;
  if (prefixText !== undefined && !/^[0-9]+$/.test(prefixText)) return null;
  const prefix = prefixText === undefined ? found.bits : Number(prefixText);
  if (prefix > found.bits) return null;
  if (found.bits === 128 && prefix >= 96 && found.number >> 32n === MAPPED) {
    return { bits: 32, number: found.number & 0xffffffffn, prefix: prefix - 96 };
  }
  return { ...found, prefix };
}

// An IPv4 address that a dual-stack socket shows as `::ffff:192.0.2.1` is that IPv4 address (RFC 4291, 2.5.5.2).
function plain(found) {
  if (found?.bits !== 128 || found.number >> 32n !== MAPPED) return found;
  return { bits: 32, number: found.number & 0xffffffffn };
}

function address(text) {
  const four = ipv4(text);
  if (four !== null) return { bits: 32, number: four };
  const six = ipv6(text);
  return six === null ? null : { bits: 128, number: six };
}

function ipv4(text) {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((number, part) => (number << 8n) | BigInt(part), 0n);
}

function ipv6(text) {
  const [bare, zone, ...more] = text.split("%");
  if (zone === "" || more.length) return null;
  const halves = bare.split("::");
  if (halves.length > 2) return null;
  const [before, after] = halves.map((half, index) => groups(half, index === halves.length - 1));
  if (!before || after === null) return null;
  if (after === undefined) return before.length === 8 ? joined(before) : null;
  const gap = 8 - before.length - after.length;
  return gap < 1 ? null : joined([...before, ...Array(gap).fill(0n), ...after]);
}

// The 16-bit groups of a part of an address; the last two may be written as an IPv4 address.
function groups(text, last) {
  if (text === "") return [];
  const found = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const four = last && index === parts.length - 1 && part.includes(".") ? ipv4(part) : null;
    if (four !== null) found.push(four >> 16n, four & 0xffffn);
    else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) found.push(BigInt(`0x${part}`));
    else return null;
  }
  return found;
}

const joined = (parts) => parts.reduce((number, part) => (number << 16n) | part, 0n);
