// Waits for the token under a merchant_data and prints it: java Wait.java MERCHANT_DATA
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

public class Wait {
    public static void main(String[] args) throws Exception {
        if (args.length != 1) {
            System.err.println("usage: Wait.java MERCHANT_DATA");
            System.exit(2);
        }
        String data = URLEncoder.encode(args[0], StandardCharsets.UTF_8);
        URI address = URI.create(System.getenv("WORKER_URL") + "/v1/tokens?wait=25&merchant_data=" + data);
        HttpRequest request = HttpRequest.newBuilder(address).timeout(Duration.ofSeconds(35))
            .header("Authorization", "Bearer " + System.getenv("WORKER_API_KEY")).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            System.err.println(answer.statusCode() == 204 ? "nothing came" : answer.body());
            System.exit(answer.statusCode() == 204 ? 3 : 1);
        }
        System.out.println(answer.body()); // JSON, with "value"
    }
}
