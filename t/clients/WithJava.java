import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Base64;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** The steps of steps.py with java.net.http: java WithJava.java wss://USER:PASSWORD@HOST:PORT CA.pem */
public final class WithJava {
    private static final String NODE = "/clown-talk-server_nodes_bridge_0";
    private static final String RELAY = "relay/i2c0-3b";
    private static final int[] SIZES = {0, 125, 126, 65536, 1048576, 16777216};
    private static final int TIMEOUT = 20; // seconds a step may take

    private static final class Talk implements WebSocket.Listener {
        private final BlockingQueue<String> received = new LinkedBlockingQueue<>();
        private final StringBuilder part = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
            part.append(data);
            if (last) {
                received.add(part.toString());
                part.setLength(0);
            }
            socket.request(1);
            return null;
        }

        String receive() throws Exception {
            String text = received.poll(TIMEOUT, TimeUnit.SECONDS);
            if (text == null) {
                throw new Exception("no answer");
            }
            return text;
        }

        void expect(String... parts) throws Exception {
            while (true) {
                for (String line : receive().split("\n")) {
                    boolean all = true;
                    for (String each : parts) {
                        all &= line.contains(each);
                    }
                    if (all) {
                        return;
                    }
                }
            }
        }
    }

    private static SSLContext trusting(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    public static void main(String[] args) throws Exception {
        String[] parts = args[0].split("://|@"); // it takes no name and password out of a URL
        String url = parts[0] + "://" + parts[2];
        String authorization = "Basic " + Base64.getEncoder().encodeToString(parts[1].getBytes());
        WebSocket.Builder builder = HttpClient.newBuilder().sslContext(trusting(args[1])).build()
            .newWebSocketBuilder().header("Authorization", authorization);
        System.out.println("version " + System.getProperty("java.version"));

        Talk talk = new Talk();
        WebSocket socket = builder.buildAsync(URI.create(url + NODE), talk).join();
        socket.sendText("[\"clown.talk/-/config/set\", {}]", true).join();
        talk.expect("\"clown.talk/-/config/ok\"");
        System.out.println("ok opening");
        socket.sendText("[\"" + RELAY + "/set\", {\"state\": true}]", true).join();
        talk.expect("\"" + RELAY + "\"", "true");
        System.out.println("ok relay");
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();

        socket = builder.buildAsync(URI.create(url + "/echo"), talk = new Talk()).join();
        for (int size : SIZES) {
            String text = "temperature 21.50, humidity 41.2; ".repeat(size / 34 + 1).substring(0, size);
            socket.sendText(text, true).join();
            if (!talk.receive().equals(text)) {
                throw new Exception("echo " + size + ": other characters came back");
            }
            System.out.println("ok echo " + size);
        }
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
        System.exit(0);
    }
}
