import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;

/** Posts the chat request on standard input, whole and as a stream; prints the answer, and the stream's last line. */
public class Ask {
    public static void main(String[] arguments) throws Exception {
        String body = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        HttpClient client = HttpClient.newHttpClient();
        System.out.println(client.send(request(arguments, body), BodyHandlers.ofString()).body());
        String streamed = body.replaceFirst("\\{", "{\"stream\": true, ");
        String last = client.send(request(arguments, streamed), BodyHandlers.ofLines()).body()
            .filter(line -> !line.isEmpty()).reduce("", (before, line) -> line);
        System.out.println(last);
    }

    private static HttpRequest request(String[] arguments, String body) {
        return HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/chat/completions"))
            .header("Content-Type", "application/json").header("Authorization", "Bearer " + arguments[1])
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
    }
}
