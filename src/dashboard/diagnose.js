/*
 * Why a WebSocket does not open. A browser tells a page nothing about a handshake that failed, so the
 * same address is asked as plain HTTP: mod_clowntalk answers 426 where all is well.
 */
const causes = {
  401: {
    title: 'You are not signed in',
    text: 'The server asks for a name and a password. Load the page again to sign in.', reload: true,
  },
  403: {
    title: 'You may not see this node',
    text: 'The server knows you, and its configuration does not let you in here.',
  },
  404: {
    title: 'The server has no such node',
    text: 'Its name in nodes.json and the server\'s configuration do not agree.',
  },
  426: {
    title: 'The server refuses the connection',
    text: 'It can be reached, but its WebSocket cannot: either this page\'s address is not among '
      + 'those in ClownTalkOrigin, or something between here and there does not pass WebSockets on.',
  },
  503: {
    title: 'The server is full',
    text: 'It has as many connections as it allows. This page goes on trying.',
  },
};

const unreachable = {
  title: 'The server cannot be reached',
  text: 'It may be restarting, or the network is down. This page goes on trying.',
};

/** { title, text, reload } for a node's address. */
export async function diagnose(url) {
  const address = new URL(url);
  address.protocol = address.protocol.replace(/^ws/, 'http');
  address.username = address.password = '';
  try {
    const { status } = await fetch(address, { cache: 'no-store', redirect: 'manual' });
    return causes[status] ?? (status >= 500 ? {
      title: 'The server is in trouble', text: `It answers with status ${status}. This page goes on trying.`,
    } : unreachable);
  } catch {
    return unreachable;
  }
}
