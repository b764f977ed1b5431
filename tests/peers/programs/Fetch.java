import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Fetches a URL with what the JDK brings and trusts. */
public class Fetch {
  public static void main(String[] arguments) throws Exception {
    HttpRequest asked = HttpRequest.newBuilder(URI.create(arguments[0])).build();
    HttpResponse<String> found =
        HttpClient.newHttpClient().send(asked, HttpResponse.BodyHandlers.ofString());
    System.out.println(found.statusCode() + " " + found.body());
  }
}
