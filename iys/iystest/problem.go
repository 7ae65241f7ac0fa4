package iystest

// problem is one entry of the errors array.
type problem struct {
	Index    int // -1 and below: none; batch answers carry it
	indexed  bool
	Location []any
	Value    any
	Code     string
	Message  string // empty: the text of the code
}

// texts are İYS's own words where the documents print them (iys-api.md §17.2)
// and a short sentence of ours elsewhere.
var texts = map[string]string{
	"H001":  "Hizmet sağlayıcı bulunamadı.",
	"H014":  "Gönderilen istek JSON formatına uygun olmalıdır.",
	"H015":  "Beklenmedik bir hata oluştu!",
	"H018":  "Marka bulunamadı.",
	"H031":  "Kullanıcı bulunamadı.",
	"H017":  "Alan çok uzun.",
	"H058":  "Bayi bulunamadı.",
	"H061":  "Bayi silinemedi.",
	"H084":  "Saatte kabul edilen kimlik doğrulama istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H085":  "İzin ekleme isteği geçerli değil.",
	"H086":  "Saatte kabul edilen tekil izin durumu sorgulama istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H089":  "Saatte kabul edilen izin geçmişi listeleme istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H090":  "Bayi izin erişimi ekleme isteği geçerli değil.",
	"H091":  "Tek seferde en fazla 1000 izin gönderilebilir.",
	"H092":  "Çoklu izin ekleme isteği geçerli değil.",
	"H093":  "Kullanıcı adı veya parola bulunamadı.",
	"H097":  "İzin sorgulama isteği geçerli değil.",
	"H103":  "Sunucuda arama yapılamadı.",
	"H110":  "Durum (status) bulunamadı.",
	"H111":  "İzin tipi (type) bulunamadı.",
	"H112":  "İzin tarihi (consentDate) bulunamadı.",
	"H113":  "İzin kaynağı (source) bulunamadı.",
	"H114":  "Alıcı (recipient) bulunamadı.",
	"H115":  "Durum (status) için uygun değerler: ONAY, RET",
	"H116":  "Alıcı tipi (recipientType) için uygun değerler: BIREYSEL, TACIR",
	"H117":  "İzin tipi (type) için uygun değerler: ARAMA, MESAJ, EPOSTA",
	"H118":  "Tanımlanmamış alan.",
	"H119":  "İzin kaynağı (source) uygun bir değer olmalıdır.",
	"H120":  "Alıcı (recipient) kabul edilemedi. Geçerli bir eposta adresi giriniz.",
	"H121":  "Alıcı (recipient) için E164 uluslararası([+][country code][area code][local phone number]) formatına uygun bir telefon numarası girilmelidir. (örn. +905992000000)",
	"H123":  "Servis meşgul. Lütfen daha sonra tekrar deneyiniz.",
	"H124":  "Saniyede kabul edilen istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
	"H126":  "Bayi listesi en fazla 3000 elemanlı olabilir.",
	"H127":  "Alıcı listesi en fazla 1000 elemanlı olabilir.",
	"H155":  "İzin kaynağı “1 Mayıs 2015 öncesi” olan izinler için, izin tarihi sadece 2015-05-01 00:00:00 olabilir.",
	"H156":  "İzinler için 1 Mayıs 2015’den önceki tarihler kabul edilmemektedir.",
	"H157":  "Geçerli bir tarih girilmelidir.",
	"H158":  "İzin tarihi yyyy-mm-dd hh:mm:ss formatında olmalıdır.",
	"H160":  "Telefon numarası en fazla 15 karakter olabilir.",
	"H162":  "Mevcut tarih ve saatten ileri bir tarih ve saat girilmemelidir.",
	"H163":  "Bayi listesi boş olamaz.",
	"H164":  "Alıcı listesi boş olamaz.",
	"H166":  "Telefon numarası en fazla 15 karakter olabilir.",
	"H168":  "Alıcı listesi (recipients) bulunamadı.",
	"H169":  "Bayi listesi (retailerAccess) bulunamadı.",
	"H170":  "Alıcı tipi (recipientType) bulunamadı.",
	"H174":  "İzin durumu (status) güncellemesi için farklı bir durum girilmelidir. İzin durumu: RET",
	"H175":  "İlk defa kaydedilen bir iznin durum (status) bilgisi RET olmamalıdır.",
	"H178":  "Sistemdeki iznin tarihinden önceki tarihli izinlerle güncelleme yapılamaz.",
	"H180":  "Bayi bulunamadı.",
	"H182":  "offset geçerli değil.",
	"H183":  "limit geçerli değil.",
	"H186":  "Sayfa en fazla 100 elemanlı olabilir.",
	"H187":  "limit sıfır olamaz.",
	"H190":  "iysCode tam sayı olmalıdır.",
	"H191":  "brandCode tam sayı olmalıdır.",
	"H192":  "İstek zaman aşımına uğradı.",
	"H193":  "Listede tekrarlanan kayıt bulunmaktadır.",
	"H194":  "İzin listede daha önce tanımlandı. Liste içinde izinler alıcı tipi (recipientType), tip (type) ve alıcı (recipient) değerleri için tekrarlanamaz.",
	"H198":  "requestId en fazla 36 karakter olabilir.",
	"H199":  "requestId sadece harflerden oluşamaz.",
	"H400":  "requestId sadece rakamlardan oluşamaz.",
	"H171":  "Bayi izin erişimi isteği geçerli değil.",
	"H201":  "Bayi durumu (status) için uygun değerler: active, passive, suspended",
	"H214":  "Bayi unvanı (title) bulunamadı.",
	"H215":  "Bayi adı (name) bulunamadı.",
	"H216":  "Bayi kimlik numarası (tckn) bulunamadı.",
	"H217":  "İl (city) bulunamadı.",
	"H220":  "İlçe (town) bulunamadı.",
	"H224":  "Bayi telefonu geçerli değil.",
	"H225":  "Bayi kimlik numarası (tckn) geçerli değil.",
	"H226":  "Bayi kimlik numarası (tckn) 11 haneli olmalıdır.",
	"H228":  "mersis 16 haneli olmalıdır.",
	"H230":  "mersis numarası tekil olmalıdır.",
	"H231":  "Bayi kimlik numarası (tckn) tekil olmalıdır.",
	"H244":  "tin 10 veya 11 haneli olmalıdır.",
	"H288":  "tin bulunamadı.",
	"H401":  "Bayi erişimi verilecek izin bulunamadı.",
	"H501":  "reportDate yyyy-mm-dd formatında olmalıdır.",
	"H502":  "reportDate son 7 gün içinde olmalıdır.",
	"H512":  "agreementStatus true olmalıdır.",
	"H530":  "Bağlantı oluşturulamadı.",
	"H531":  "Bağlantı adresi https olmalıdır.",
	"H568":  "Ret linki sadece ONAY durumundaki izinler için üretilebilir.",
	"H1000": "Form yayında değil.",
	"H1005": "Zorunlu alan bulunamadı.",
	"H1012": "verificationType geçerli değil.",
	"H1014": "Marka bu iysCode ile eşleşmiyor.",
	"H1015": "ViA kontörü bulunmamaktadır.",
	"H1016": "Gönderilen istek JSON formatına uygun olmalıdır.",
	"H1026": "Geçerli bir telefon numarası girilmelidir.",
	"H1027": "Geçerli bir eposta adresi girilmelidir.",
	"H1030": "requestId bulunamadı.",
	"H1032": "İşlem daha önce tamamlandı.",
	"H1050": "Doğrulama kodu 3 kez hatalı girildi.",
	"H1051": "Doğrulama kodunun süresi doldu.",
	"H1052": "Doğrulama kodu hatalı.",
	"H1056": "Doğrulama tipi kod içermiyor.",
	"H1072": "Belge bulunamadı.",
	"H251":  "Kimlik bilgileri geçersiz.",
	"H266":  "Değer bulunamadı.",
	"H267":  "Değer boş olamaz.",
	"H351":  "Eksik veya geçersiz jeton!",
	"H353":  "iysCode, kullanıcı izinleriyle eşleştirilemiyor",
	"H363":  "Bu servis için yetkiniz bulunmamaktadır.",
	"H408":  "HS_KARAR kaynağından iletilen izinler için durum bilgisi RET olmalıdır.",
	"H437":  "Abonelik bulunamadı.",
	"H462":  "Tacir izin güncellemesi için izin tarihi (consentDate) girilmelidir.",
	"H463":  "Tacir izin güncellemesi için izin kaynağı (source) girilmelidir.",
	"H464":  "Alıcı, izin tipi ile uyumlu değil.",
	"H467":  "Üç iş günü öncesinde alınan izinler kaydedilemez.",
	"H470":  "Beklenmedik bir hata oluştu!",
	"H478":  "recipients bir liste olmalıdır.",
	"H486":  "İzin kaynağı (source) uygun bir değer olmalıdır.",
	"H506":  "source için uygun değerler: HS, IYS",
	"H507":  "limit en fazla 1000 olabilir.",
	"H520":  "Aboneliğiniz duraklatılmış veya süresi dolmuştur.",
	"H521":  "Aboneliğiniz kapatılmıştır.",
	"H522":  "Bu servisi sadece iş ortakları kullanabilir.",
	"H524":  "Abonelik bulunamadı.",
	"H525":  "Kullanılan izin sayısı maksimum sayıya ulaştığı için yeni izin eklenememektedir.",
	"H586":  "Paketinizin API kullanım hakkı bulunmamaktadır.",
}

func (s *Sim) encode(p problem) map[string]any {
	key := "code"
	if s.odd.CodeColon {
		key = "code:"
	}
	msg := p.Message
	if msg == "" {
		msg = texts[p.Code]
	}
	m := map[string]any{key: p.Code, "message": msg}
	if p.indexed {
		m["index"] = p.Index
	}
	if p.Location != nil {
		m["location"] = p.Location
	}
	if p.Value != nil {
		m["value"] = p.Value
	}
	return m
}

// fail answers errors in the shape of iys-api.md §17.1.
func (s *Sim) fail(status int, ps ...problem) answer {
	list := make([]map[string]any, len(ps))
	for i, p := range ps {
		list[i] = s.encode(p)
	}
	if s.odd.ErrorsObject && len(list) == 1 {
		return answer{status, map[string]any{"errors": list[0]}}
	}
	return answer{status, map[string]any{"errors": list}}
}

func (s *Sim) failp(status int, ps ...problem) *answer {
	a := s.fail(status, ps...)
	return &a
}

// at puts a problem onto a field.
func at(code, field string, value any) problem {
	return problem{Code: code, Location: []any{field}, Value: value}
}
